#include "ingest/sources/zarr_metadata.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.hpp"

namespace zonda::ingest {
namespace {

using nlohmann::json;

constexpr std::size_t most_chunk_bytes = std::size_t{2} << 30;

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorKind::data, "{}: cannot be read", path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::vector<std::size_t> lengths(const json& zarray, const char* key, std::string_view where) {
  if (!zarray.contains(key) || !zarray[key].is_array()) fail(ErrorKind::data, "{}: '{}' is not a list", where, key);
  std::vector<std::size_t> values;
  for (const json& item : zarray[key]) {
    if (!item.is_number_integer() || item.get<double>() < 0 || item.get<double>() > 1e15)
      fail(ErrorKind::data, "{}: '{}' holds {}, expected whole numbers from 0", where, key, item.dump());
    values.push_back(item.get<std::size_t>());
  }
  return values;
}

std::optional<double> number_of(const json& value) {
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  if (value.is_string()) {
    const auto text = value.get<std::string>();
    if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (text == "Infinity") return std::numeric_limits<double>::infinity();
    if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  }
  return std::nullopt;
}

void read_attributes(const json& zattrs, CfArray& array) {
  if (!zattrs.is_object()) return;
  for (const auto& [key, value] : zattrs.items()) {
    if (value.is_array() && !value.empty()) {
      std::vector<double> numbers;
      for (const json& item : value) {
        if (const auto number = number_of(item)) numbers.push_back(*number);
      }
      if (numbers.size() == value.size()) array.attributes[key] = std::move(numbers);
    } else if (value.is_string()) {
      array.attributes[key] = value.get<std::string>();
    } else if (const auto number = number_of(value)) {
      array.attributes[key] = std::vector<double>{*number};
    }
  }
}

std::vector<std::string> dimension_names(const json& zattrs, const std::string& name, std::size_t rank) {
  std::vector<std::string> names;
  if (zattrs.is_object() && zattrs.contains("_ARRAY_DIMENSIONS") && zattrs["_ARRAY_DIMENSIONS"].is_array()) {
    for (const json& item : zattrs["_ARRAY_DIMENSIONS"]) {
      if (item.is_string()) names.push_back(item.get<std::string>());
    }
  }
  if (names.size() == rank) return names;
  names.clear();
  if (rank == 1) return {name};
  for (std::size_t d = 0; d < rank; ++d) names.push_back(fmt::format("{}_dim_{}", name, d));
  return names;
}

}  // namespace

std::size_t ZarrArray::chunk_elements() const {
  std::size_t n = 1;
  for (const std::size_t length : chunks) n *= length;
  return n;
}

std::string ZarrArray::chunk_key(std::span<const std::size_t> chunk) const {
  std::string key = info.name + "/";
  if (chunk.empty()) return key + "0";
  for (std::size_t d = 0; d < chunk.size(); ++d) {
    if (d > 0) key += separator;
    key += std::to_string(chunk[d]);
  }
  return key;
}

json parse_zarr_json(std::string_view text, std::string_view where) {
  // Python's json module writes NaN and infinities as bare words, which are not JSON.
  std::string quoted;
  quoted.reserve(text.size());
  bool in_string = false;
  std::size_t depth = 0;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\' && i + 1 < text.size())
        quoted += text[i++];
      else if (c == '"')
        in_string = false;
      quoted += text[i++];
      continue;
    }
    std::string_view word;
    for (const std::string_view candidate : {"NaN", "-Infinity", "Infinity"}) {
      if (text.substr(i, candidate.size()) == candidate) word = candidate;
    }
    if (!word.empty()) {
      quoted += '"';
      quoted += word;
      quoted += '"';
      i += word.size();
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && depth > 0) --depth;
    if (depth > 200) fail(ErrorKind::data, "{}: the JSON is nested too deeply", where);
    quoted += c;
    ++i;
  }
  try {
    return json::parse(quoted);
  } catch (const json::exception& error) {
    fail(ErrorKind::data, "{}: not JSON: {}", where, error.what());
  }
}

ZarrArray parse_zarr_array(const std::string& name, const json& zarray, const json& zattrs, std::string_view where) {
  if (!zarray.is_object()) fail(ErrorKind::data, "{}: not a JSON object", where);
  if (!zarray.contains("zarr_format") || zarray["zarr_format"] != 2)
    fail(ErrorKind::data, "{}: 'zarr_format' is not 2", where);
  ZarrArray array;
  array.info.name = name;
  array.info.shape = lengths(zarray, "shape", where);
  array.chunks = lengths(zarray, "chunks", where);
  if (array.chunks.size() != array.info.shape.size())
    fail(ErrorKind::data, "{}: {} chunk lengths for {} dimensions", where, array.chunks.size(),
         array.info.shape.size());
  if (array.info.shape.size() > 32) fail(ErrorKind::data, "{}: more than 32 dimensions", where);
  array.info.dimensions = dimension_names(zattrs, name, array.info.shape.size());
  read_attributes(zattrs, array.info);

  const json type = zarray.value("dtype", json());
  if (type.is_string()) array.element = parse_zarr_type(type.get<std::string>());
  array.info.type = array.element.type;
  if (array.info.type == ElementType::other) {
    array.problem = "element type " + type.dump() + " is not a number";
    return array;
  }
  double bytes = static_cast<double>(size_of(array.info.type));
  for (const std::size_t length : array.chunks) {
    if (length == 0) fail(ErrorKind::data, "{}: a chunk length is 0", where);
    bytes *= static_cast<double>(length);
  }
  if (bytes > static_cast<double>(most_chunk_bytes)) {
    array.problem = fmt::format("chunks of {:.1f} GiB; at most 2 GiB are read", bytes / (1u << 30));
    return array;
  }

  const json order = zarray.value("order", json("C"));
  if (order != "C" && order != "F") fail(ErrorKind::data, "{}: 'order' is {}, expected C or F", where, order.dump());
  array.row_major = order == "C";
  const json separator = zarray.value("dimension_separator", json("."));
  if (separator != "." && separator != "/")
    fail(ErrorKind::data, "{}: 'dimension_separator' is {}, expected . or /", where, separator.dump());
  array.separator = separator == "." ? '.' : '/';
  array.fill_value = number_of(zarray.value("fill_value", json()));

  try {
    if (const json compressor = zarray.value("compressor", json()); !compressor.is_null()) {
      array.codecs.push_back(parse_zarr_codec(compressor));
    }
    if (const json filters = zarray.value("filters", json()); filters.is_array()) {
      for (auto filter = filters.rbegin(); filter != filters.rend(); ++filter) {
        array.codecs.push_back(parse_zarr_codec(*filter));
      }
    }
  } catch (const Error& error) {
    array.problem = error.what();
  }

  if (array.element.is_time || array.element.is_duration) {
    array.info.attributes["units"] = std::string(array.element.is_time ? "seconds since 1970-01-01" : "seconds");
    array.info.attributes["scale_factor"] = std::vector<double>{array.element.seconds};
  } else if (array.fill_value && !array.info.attributes.contains("_FillValue")) {
    // As xarray does: the fill value marks missing data.
    array.info.attributes["_FillValue"] = std::vector<double>{*array.fill_value};
  }
  return array;
}

std::vector<ZarrArray> read_zarr_group(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::vector<ZarrArray> arrays;
  if (const fs::path consolidated = folder / ".zmetadata"; fs::exists(consolidated)) {
    const json all = parse_zarr_json(read_text(consolidated), consolidated.string());
    if (!all.is_object() || !all.contains("metadata") || !all["metadata"].is_object())
      fail(ErrorKind::data, "{}: no object 'metadata'", consolidated.string());
    const json& metadata = all["metadata"];
    for (const auto& [key, zarray] : metadata.items()) {
      const std::size_t slash = key.find('/');
      if (slash == std::string::npos || key.substr(slash) != "/.zarray") continue;
      const std::string name = key.substr(0, slash);
      const json zattrs = metadata.value(name + "/.zattrs", json::object());
      arrays.push_back(parse_zarr_array(name, zarray, zattrs, consolidated.string() + ": " + name));
    }
    return arrays;
  }
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() && fs::exists(entry.path() / ".zarray")) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  for (const fs::path& path : folders) {
    const json zarray = parse_zarr_json(read_text(path / ".zarray"), (path / ".zarray").string());
    json zattrs = json::object();
    if (fs::exists(path / ".zattrs")) {
      zattrs = parse_zarr_json(read_text(path / ".zattrs"), (path / ".zattrs").string());
    }
    arrays.push_back(parse_zarr_array(path.filename().string(), zarray, zattrs, (path / ".zarray").string()));
  }
  return arrays;
}

}  // namespace zonda::ingest
