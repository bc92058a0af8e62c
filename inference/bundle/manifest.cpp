#include "inference/bundle/manifest.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "core/error.hpp"

namespace zonda::inference {

using model::DType;
using nlohmann::json;

namespace {

constexpr std::size_t most_bytes = std::size_t{16} << 20;
constexpr std::size_t most_entries = 50'000, most_files = 1000;
constexpr std::uint64_t alignment = 64;

/// The members of one object, each read once; whatever is left over is an error.
class Members {
 public:
  Members(const json& object, std::string where, const std::string& source)
      : object_(object), where_(std::move(where)), source_(source) {
    if (!object.is_object()) refuse("expected an object");
  }
  [[noreturn]] void refuse(const std::string& what) const {
    fail(ErrorKind::data, "{}: {}: {}", source_, where_.empty() ? "manifest" : where_, what);
  }
  const json& member(const std::string& key) {
    const auto found = object_.find(key);
    if (found == object_.end()) refuse("no member '" + key + "'");
    if (std::find(read_.begin(), read_.end(), key) == read_.end()) read_.push_back(key);
    return *found;
  }
  std::string text(const std::string& key) {
    const json& value = member(key);
    if (!value.is_string()) refuse(key + ": expected text, found " + value.dump().substr(0, 40));
    return value.get<std::string>();
  }
  std::uint64_t whole(const std::string& key, std::uint64_t most = std::numeric_limits<std::int64_t>::max()) {
    const json& value = member(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
      refuse(key + ": expected a whole number of at most " + std::to_string(most) + ", found " +
             value.dump().substr(0, 40));
    return value.get<std::uint64_t>();
  }
  double number(const std::string& key) {
    const json& value = member(key);
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      refuse(key + ": expected a number, found " + value.dump().substr(0, 40));
    return value.get<double>();
  }
  std::string checksum(const std::string& key) {
    std::string value = text(key);
    if (value.size() != 64 || value.find_first_not_of("0123456789abcdef") != std::string::npos)
      refuse(key + ": not a SHA-256: '" + value.substr(0, 70) + "'");
    return value;
  }
  json object(const std::string& key) {
    const json& value = member(key);
    if (!value.is_object()) refuse(key + ": expected an object");
    return value;
  }
  /// read(element, where) of each element of a list.
  template <class Read>
  void list(const std::string& key, Read&& read) {
    const json& values = member(key);
    if (!values.is_array()) refuse(key + ": expected a list");
    if (values.size() > most_entries) refuse(key + ": " + std::to_string(values.size()) + " entries");
    for (std::size_t i = 0; i < values.size(); ++i)
      read(values[i], (where_.empty() ? "" : where_ + '.') + key + '[' + std::to_string(i) + ']');
  }
  std::vector<std::string> texts(const std::string& key) {
    std::vector<std::string> result;
    list(key, [&](const json& value, const std::string& where) {
      if (!value.is_string()) refuse(where + ": expected text");
      result.push_back(value.get<std::string>());
    });
    return result;
  }
  void done() const {
    if (read_.size() == object_.size()) return;
    for (const auto& [key, value] : object_.items())
      if (std::find(read_.begin(), read_.end(), key) == read_.end()) refuse("unknown member '" + key.substr(0, 60) + "'");
  }

 private:
  const json& object_;
  std::string where_;
  const std::string& source_;
  std::vector<std::string> read_;  // few
};

bool is_name(std::string_view name, bool folders) {
  if (name.empty() || name.size() > 200 || name.front() == '.' || name.front() == '/' || name.back() == '/')
    return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-' || (folders && c == '/');
  });
}

DType read_dtype(Members& members, const std::string& word) {
  for (const DType type : {DType::f64, DType::f32, DType::bf16, DType::i8})
    if (word == model::name_of(type)) return type;
  members.refuse("dtype '" + word.substr(0, 20) + "', known: f64, f32, bf16, i8");
}

BundleFile read_file_entry(const json& value, const std::string& where, const std::string& source) {
  Members members(value, where, source);
  BundleFile file{members.text("name"), members.whole("bytes"), members.checksum("sha256")};
  if (!is_name(file.name, false) || file.name == "manifest.json") members.refuse("name '" + file.name + "'");
  members.done();
  return file;
}

BundleTensor read_tensor(const json& value, const std::string& where, const std::string& source,
                         const BundleManifest& manifest) {
  Members members(value, where, source);
  BundleTensor tensor;
  tensor.name = members.text("name");
  if (!is_name(tensor.name, true)) members.refuse("name '" + tensor.name.substr(0, 60) + "'");
  tensor.file = members.text("file");
  tensor.dtype = read_dtype(members, members.text("dtype"));
  std::uint64_t count = 1;
  const std::uint64_t most = std::uint64_t{1} << 48;
  members.list("shape", [&](const json& extent, const std::string&) {
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() == 0 || extent.get<std::uint64_t>() > most / count)
      members.refuse("tensor " + tensor.name + ": extents are whole numbers from 1 on");
    count *= extent.get<std::uint64_t>();
    tensor.shape.push_back(extent.get<std::int64_t>());
  });
  if (tensor.shape.empty() || tensor.shape.size() > model::Shape::max_rank)
    members.refuse("tensor " + tensor.name + ": " + std::to_string(tensor.shape.size()) + " dimensions, 1 to " +
                   std::to_string(model::Shape::max_rank) + " are possible");
  tensor.offset = members.whole("offset");
  tensor.bytes = members.whole("bytes");
  tensor.sha256 = members.checksum("sha256");
  members.done();
  if (tensor.bytes != count * model::size_of(tensor.dtype))
    members.refuse("tensor " + tensor.name + ": " + std::to_string(tensor.bytes) + " bytes, its shape has " +
                   std::to_string(count * model::size_of(tensor.dtype)));
  if (tensor.offset % alignment != 0)
    members.refuse("tensor " + tensor.name + ": begins at byte " + std::to_string(tensor.offset) +
                   ", not a multiple of 64");
  const BundleFile* file = manifest.find_file(tensor.file);
  if (!file) members.refuse("tensor " + tensor.name + ": in '" + tensor.file.substr(0, 60) + "', which is not listed");
  if (tensor.offset > file->bytes || tensor.bytes > file->bytes - tensor.offset)
    members.refuse("tensor " + tensor.name + ": bytes " + std::to_string(tensor.offset) + " to " +
                   std::to_string(tensor.offset + tensor.bytes) + " of " + tensor.file + ", which has " +
                   std::to_string(file->bytes));
  return tensor;
}

TokenLevel read_level(const json& value, const std::string& where, const std::string& source) {
  Members members(value, where, source);
  TokenLevel level;
  level.level = static_cast<int>(members.whole("level", 100));
  level.tokens = static_cast<std::int64_t>(members.whole("tokens"));
  level.first_block = static_cast<int>(members.whole("first_block", 10'000));
  level.last_block = static_cast<int>(members.whole("last_block", 10'000));
  level.milliseconds = members.number("milliseconds");
  level.measured_on = members.text("measured_on");
  members.list("skill", [&](const json& entry, const std::string& place) {
    Members skill(entry, place, source);
    level.skill.push_back({skill.text("channel"), static_cast<std::int64_t>(skill.whole("lead_hours")),
                           skill.number("rmse"), skill.number("increase")});
    skill.done();
  });
  members.done();
  return level;
}

Region read_region(const json& value, const std::string& source) {
  Members members(value, "region", source);
  Region region{members.text("grid"),    members.number("north"),
                members.number("south"), members.number("west"),
                members.number("east"),  static_cast<int>(members.whole("boundary_width", 1000))};
  if (value.contains("crs_wkt")) region.crs_wkt = members.text("crs_wkt");
  members.done();
  return region;
}

void refuse_overlaps(const BundleManifest& manifest, const std::string& source) {
  std::vector<const BundleTensor*> order;
  for (const BundleTensor& tensor : manifest.tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const BundleTensor* a, const BundleTensor* b) {
    return std::tie(a->file, a->offset) < std::tie(b->file, b->offset);
  });
  for (std::size_t i = 0; i + 1 < order.size(); ++i)
    if (order[i]->file == order[i + 1]->file && order[i]->offset + order[i]->bytes > order[i + 1]->offset)
      fail(ErrorKind::data, "{}: tensors {} and {} overlap in {}", source, order[i]->name, order[i + 1]->name,
           order[i]->file);
}

void require_scales(const BundleManifest& manifest, const std::string& source) {
  std::map<std::string_view, const BundleTensor*> named;
  for (const BundleTensor& tensor : manifest.tensors) named.emplace(tensor.name, &tensor);
  for (const BundleTensor& tensor : manifest.tensors) {
    if (tensor.dtype != DType::i8) continue;
    const auto at = named.find(tensor.name + ".scales");
    const BundleTensor* scales = at == named.end() ? nullptr : at->second;
    if (tensor.shape.size() != 2 || !scales || scales->dtype != DType::f32 ||
        scales->shape != std::vector<std::int64_t>{tensor.shape[1]})
      fail(ErrorKind::data, "{}: tensor {}: an int8 matrix [in, out] needs '{}.scales' [out] f32", source, tensor.name,
           tensor.name);
  }
}

}  // namespace

std::int64_t BundleTensor::count() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

float golden_step(std::string_view precision) {
  return precision == "int8" ? 1.0F / 128 : 0;  // far below what int8 may be off on another machine
}

const BundleFile* BundleManifest::find_file(std::string_view wanted) const {
  const auto at = std::find_if(files.begin(), files.end(), [&](const BundleFile& f) { return f.name == wanted; });
  return at == files.end() ? nullptr : &*at;
}

const BundleTensor* BundleManifest::find_tensor(std::string_view wanted) const {
  const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const BundleTensor& t) { return t.name == wanted; });
  return at == tensors.end() ? nullptr : &*at;
}

std::string BundleManifest::to_text() const {
  json levels_json = json::array(), files_json = json::array(), tensors_json = json::array();
  for (const TokenLevel& level : levels) {
    json skill = json::array();
    for (const MeasuredSkill& s : level.skill)
      skill.push_back(
          {{"channel", s.channel}, {"lead_hours", s.lead_hours}, {"rmse", s.rmse}, {"increase", s.increase}});
    levels_json.push_back({{"level", level.level},
                           {"tokens", level.tokens},
                           {"first_block", level.first_block},
                           {"last_block", level.last_block},
                           {"milliseconds", level.milliseconds},
                           {"measured_on", level.measured_on},
                           {"skill", skill}});
  }
  for (const BundleFile& file : files)
    files_json.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  for (const BundleTensor& t : tensors)
    tensors_json.push_back({{"name", t.name},
                            {"file", t.file},
                            {"dtype", model::name_of(t.dtype)},
                            {"shape", t.shape},
                            {"offset", t.offset},
                            {"bytes", t.bytes},
                            {"sha256", t.sha256}});
  json manifest = {{"format", format},
                         {"schema", schema},
                         {"name", name},
                         {"precision", precision},
                         {"licence", licence},
                         {"code", code},
                         {"model", model},
                         {"parents", parents},
                         {"hardware", hardware},
                         {"region",
                          {{"grid", region.grid},
                           {"north", region.north},
                           {"south", region.south},
                           {"west", region.west},
                           {"east", region.east},
                           {"boundary_width", region.boundary_width}}},
                         {"parameters", parameters},
                         {"levels", levels_json},
                         {"network", network},
                         {"layout", layout},
                         {"golden_tolerance", golden_tolerance},
                         {"files", files_json},
                         {"tensors", tensors_json}};
  if (!region.crs_wkt.empty()) manifest["region"]["crs_wkt"] = region.crs_wkt;
  return manifest.dump(1) + '\n';
}

BundleManifest BundleManifest::parse(std::string_view text, const std::string& source) {
  if (text.size() > most_bytes)
    fail(ErrorKind::data, "{}: {} bytes, a manifest has at most {}", source, text.size(), most_bytes);
  json document;
  try {
    document = json::parse(text);
  } catch (const json::exception& error) {
    fail(ErrorKind::data, "{}: not JSON: {}", source, error.what());
  }
  Members members(document, "", source);
  if (const std::string found = members.text("format"); found != format)
    members.refuse("format '" + found.substr(0, 40) + "', expected '" + format + "'");
  if (const std::uint64_t found = members.whole("schema"); found < 1 || found > schema)
    members.refuse("schema " + std::to_string(found) + ", this program reads 1 to " + std::to_string(schema));
  BundleManifest manifest;
  manifest.name = members.text("name");
  manifest.precision = members.text("precision");
  if (manifest.precision != "fp32" && manifest.precision != "bf16" && manifest.precision != "int8")
    members.refuse("precision '" + manifest.precision.substr(0, 20) + "', known: fp32, bf16, int8");
  manifest.licence = members.text("licence");
  manifest.code = members.text("code");
  manifest.model = members.checksum("model");
  manifest.parents = members.texts("parents");
  manifest.hardware = members.texts("hardware");
  manifest.region = read_region(members.member("region"), source);
  manifest.parameters = static_cast<std::int64_t>(members.whole("parameters"));
  members.list("levels", [&](const json& value, const std::string& where) {
    manifest.levels.push_back(read_level(value, where, source));
    if (manifest.levels.back().level != static_cast<int>(manifest.levels.size()) - 1)
      members.refuse(where + ": levels are numbered 0, 1, 2 ... in order");
  });
  manifest.network = members.object("network");
  manifest.layout = members.object("layout");
  manifest.golden_tolerance = members.number("golden_tolerance");
  std::set<std::string> names;
  members.list("files", [&](const json& value, const std::string& where) {
    manifest.files.push_back(read_file_entry(value, where, source));
    if (names.size() == most_files) members.refuse("more than " + std::to_string(most_files) + " files");
    if (!names.insert(manifest.files.back().name).second)
      members.refuse("file " + manifest.files.back().name + " is listed twice");
  });
  names.clear();
  members.list("tensors", [&](const json& value, const std::string& where) {
    manifest.tensors.push_back(read_tensor(value, where, source, manifest));
    if (!names.insert(manifest.tensors.back().name).second)
      members.refuse("tensor " + manifest.tensors.back().name + " is listed twice");
  });
  members.done();
  refuse_overlaps(manifest, source);
  require_scales(manifest, source);
  return manifest;
}

}  // namespace zonda::inference
