#include "inference/edge/delta/bundle_delta.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"
#include "inference/bundle/bundle.hpp"
#include "inference/edge/delta/piece_codec.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;
using inference::Bundle;
using inference::BundleTensor;
using nlohmann::json;

namespace {

constexpr std::string_view magic = "ZONDADL1";
constexpr std::size_t prologue = magic.size() + 2 * sizeof(std::uint32_t);

std::uint32_t checksum(std::string_view bytes) {
  return crc32c(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

std::size_t width_of(model::DType type) {
  return type == model::DType::i8 ? 1 : type == model::DType::bf16 ? 2 : 4;
}

/// The files of a bundle, each read once and kept as long as it is asked for.
class Files {
 public:
  explicit Files(fs::path folder) : folder_(std::move(folder)) {}
  std::string_view bytes(const std::string& name) {
    if (name != name_) {
      bytes_ = fs::exists(folder_ / name) ? read_file(folder_ / name) : std::string();
      name_ = name;
    }
    return bytes_;
  }

 private:
  fs::path folder_;
  std::string name_, bytes_;
};

struct Writer {
  std::string frames;
  json pieces = json::array();
  void add(json piece, const std::string& frame) {
    piece["packed"] = frame.size();
    piece["crc32c"] = checksum(frame);
    pieces.push_back(std::move(piece));
    frames += frame;
  }
};

std::vector<std::string> file_names(const Bundle& bundle) {
  std::vector<std::string> names{"manifest.json"};
  for (const auto& file : bundle.manifest().files) names.push_back(file.name);
  return names;
}

/// The tensors of a file in the order they lie there.
std::vector<const BundleTensor*> tensors_of(const Bundle& bundle, const std::string& file) {
  std::vector<const BundleTensor*> all;
  for (const BundleTensor& tensor : bundle.manifest().tensors)
    if (tensor.file == file) all.push_back(&tensor);
  std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return a->offset < b->offset; });
  return all;
}

}  // namespace

DeltaSummary write_delta(const fs::path& base_path, const fs::path& target_path, const fs::path& delta) {
  const Bundle base = Bundle::open(base_path), target = Bundle::open(target_path);
  DeltaSummary summary{base.identity(), target.identity()};
  Files from(base_path), to(target_path);
  json files = json::array();
  std::string frames;
  for (const std::string& name : file_names(target)) {
    const std::string_view bytes = to.bytes(name);
    summary.bundle_bytes += bytes.size();
    Writer writer;
    const auto tensors = tensors_of(target, name);
    std::uint64_t done = 0;
    const auto text_until = [&](std::uint64_t end) {
      if (end == done) return;
      const std::string_view likeness = tensors.empty() ? from.bytes(name) : std::string_view();
      writer.add({{"kind", "text"}, {"bytes", end - done}, {"like_before", !likeness.empty()}},
                 encode_text(likeness, bytes.substr(done, end - done)));
      done = end;
    };
    for (const BundleTensor* tensor : tensors) {
      const BundleTensor* old = base.manifest().find_tensor(tensor->name);
      if (old == nullptr || old->dtype != tensor->dtype || old->bytes != tensor->bytes) continue;
      text_until(tensor->offset);
      json piece{{"bytes", tensor->bytes}, {"file", old->file}, {"offset", old->offset}};
      if (old->sha256 == tensor->sha256) {
        piece["kind"] = "copy";
        writer.add(piece, "");
        ++summary.equal_tensors;
      } else {
        piece["kind"] = "difference";
        const std::size_t width = width_of(tensor->dtype);
        piece["width"] = tensor->bytes % width == 0 ? width : 1;
        writer.add(piece, encode_difference(from.bytes(old->file).substr(old->offset, old->bytes),
                                            bytes.substr(tensor->offset, tensor->bytes), piece["width"]));
        ++summary.other_tensors;
      }
      done = tensor->offset + tensor->bytes;
    }
    text_until(bytes.size());
    files.push_back({{"name", name}, {"bytes", bytes.size()}, {"sha256", sha256(bytes)}, {"pieces", writer.pieces}});
    frames += writer.frames;
  }
  const json header{{"schema", "zonda.delta.1"}, {"base", summary.base}, {"target", summary.target}, {"files", files}};
  // The header names every piece: of many tensors it is long, and repeats itself.
  const std::string plain = header.dump();
  const std::string text = encode_text({}, plain);
  std::string file(magic);
  for (const std::uint32_t number : {static_cast<std::uint32_t>(text.size()), checksum(text)})
    file.append(reinterpret_cast<const char*>(&number), sizeof number);
  file += text + frames;
  write_file(delta, file);
  summary.bytes = file.size();
  return summary;
}

std::string apply_delta(const fs::path& base_path, const fs::path& delta, const fs::path& target_path) {
  const std::string name = delta.string();
  const Bundle base = Bundle::open(base_path, inference::Verify::lengths);
  const std::string bytes = read_file(delta);
  std::uint32_t length = 0, crc = 0;
  if (!bytes.starts_with(magic) || bytes.size() < prologue) fail(ErrorKind::data, "{}: not a delta", name);
  std::memcpy(&length, bytes.data() + magic.size(), sizeof length);
  std::memcpy(&crc, bytes.data() + magic.size() + sizeof length, sizeof crc);
  if (length > bytes.size() - prologue) fail(ErrorKind::data, "{}: cut off in its header", name);
  const std::string_view packed = std::string_view(bytes).substr(prologue, length);
  if (checksum(packed) != crc) fail(ErrorKind::data, "{}: the header's checksum is wrong", name);
  const json parsed = parse_json(decode_text_up_to(packed, DeltaLimits::header_bytes, name), name, 8);
  const JsonReader header(parsed, name);
  if (header.text("schema") != "zonda.delta.1")
    fail(ErrorKind::data, "{}: schema '{}', expected zonda.delta.1", name, header.text("schema"));
  if (header.text("base") != base.identity())
    fail(ErrorKind::data, "{}: made for base {}, not {}", name, header.text("base"), base.identity());

  fs::path arriving = target_path;
  arriving += ".tmp";
  fs::remove_all(arriving);
  fs::create_directories(arriving);
  Files from(base_path);
  std::string_view rest = std::string_view(bytes).substr(prologue + length);
  std::uint64_t whole = 0;
  for (const json& item : header.array("files", 1024)) {
    const JsonReader file(item, name);
    const std::string& file_name = file.text("name");
    if (file_name != "manifest.json" &&
        file_name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
            std::string::npos)
      fail(ErrorKind::data, "{}: '{}' cannot be the name of a file", name, file_name);
    if (file_name.empty() || file_name.front() == '.')
      fail(ErrorKind::data, "{}: '{}' cannot be the name of a file", name, file_name);
    const auto expected =
        static_cast<std::uint64_t>(file.integer("bytes", 0, static_cast<std::int64_t>(DeltaLimits::bundle_bytes)));
    whole += expected;
    if (whole > DeltaLimits::bundle_bytes)
      fail(ErrorKind::data, "{}: more than {} bytes", name, DeltaLimits::bundle_bytes);
    std::string out;
    for (const json& described : file.array("pieces", 1 << 20)) {
      const JsonReader piece(described, name + ": " + file_name);
      const auto room = static_cast<std::int64_t>(expected - out.size());
      const auto size = static_cast<std::size_t>(piece.integer("bytes", 0, room));
      const auto frame_size =
          static_cast<std::size_t>(piece.integer("packed", 0, static_cast<std::int64_t>(rest.size())));
      const std::string_view frame = rest.substr(0, frame_size);
      rest.remove_prefix(frame_size);
      if (checksum(frame) != static_cast<std::uint32_t>(piece.integer("crc32c", 0, UINT32_MAX)))
        fail(ErrorKind::data, "{}: {}: the checksum of a piece is wrong", name, file_name);
      const std::string& kind = piece.text("kind");
      if (kind == "text") {
        out +=
            decode_text(piece.boolean("like_before") ? from.bytes(file_name) : std::string_view(), frame, size, name);
        continue;
      }
      const std::string& old = piece.text("file");
      if (base.manifest().find_file(old) == nullptr) fail(ErrorKind::data, "{}: the base has no file '{}'", name, old);
      const std::string_view base_bytes = from.bytes(old);
      const auto offset =
          static_cast<std::size_t>(piece.integer("offset", 0, static_cast<std::int64_t>(base_bytes.size())));
      if (size > base_bytes.size() - offset) fail(ErrorKind::data, "{}: a piece lies beyond {}", name, old);
      const std::string_view run = base_bytes.substr(offset, size);
      if (kind == "copy") {
        out += run;
      } else if (kind == "difference") {
        const auto width = static_cast<std::size_t>(piece.integer("width", 1, 4));
        if (width == 3 || size % width != 0) fail(ErrorKind::data, "{}: numbers of {} bytes", name, width);
        out += decode_difference(run, frame, width, name);
      } else {
        fail(ErrorKind::data, "{}: a piece of kind '{}'", name, kind);
      }
    }
    if (out.size() != expected || sha256(out) != file.hexadecimal("sha256", 64))
      fail(ErrorKind::data, "{}: {} does not come out as it should", name, file_name);
    write_file(arriving / file_name, out);
  }
  const Bundle made = Bundle::open(arriving);
  if (made.identity() != header.text("target"))
    fail(ErrorKind::data, "{}: gives bundle {}, not {}", name, made.identity(), header.text("target"));
  fs::remove_all(target_path);
  fs::rename(arriving, target_path);
  sync_path(fs::absolute(target_path).parent_path());
  return made.identity();
}

}  // namespace zonda::edge
