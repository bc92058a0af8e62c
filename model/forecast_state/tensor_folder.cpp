#include "model/forecast_state/tensor_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/durable_folder.hpp"
#include "core/error.hpp"

namespace zonda::model {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* format_name = "zonda tensor folder";
constexpr int format_version = 2;        // 1: chunks are rows of the first dimension, no checksums of whole tensors
constexpr std::size_t alignment = 4096;  // chunks can be mapped or read with O_DIRECT
constexpr std::size_t chunk_bytes = 4u << 20;  // small enough to name the damage, large enough to stream

std::size_t product(const std::vector<std::size_t>& shape, std::size_t first = 0) {
  std::size_t n = 1;
  for (std::size_t i = first; i < shape.size(); ++i) n *= shape[i];
  return n;
}

struct Chunk {
  std::size_t first, count;  // numbers
  std::string file;
  std::uint64_t byte_offset, bytes;
  std::uint32_t crc;
};

struct Entry {
  std::vector<std::size_t> shape;
  std::vector<Chunk> chunks;
  std::uint32_t crc = 0;  // of all its numbers
};

std::string hexadecimal(std::uint32_t value) {
  return fmt::format("{:08x}", value);
}

std::string manifest_checksum(const json& header, const json& tensors) {
  const std::string text = header.dump() + tensors.dump();
  return hexadecimal(crc32c(std::as_bytes(std::span(text))));
}

std::uint32_t number_of(const json& checksum) {
  return static_cast<std::uint32_t>(std::stoul(checksum.get<std::string>(), nullptr, 16));
}

/// Of the tensors' names, shapes and checksums.
std::string hash_of(const std::vector<std::string>& order, const std::map<std::string, Entry>& entries) {
  std::string text;
  for (const std::string& name : order) {
    text += name;
    for (const std::size_t extent : entries.at(name).shape) text += fmt::format(" {}", extent);
    text += ' ' + hexadecimal(entries.at(name).crc) + '\n';
  }
  return sha256(text);
}

fs::path temporary_of(const fs::path& directory) {
  return directory.string() + ".tmp";
}

}  // namespace

void begin_tensor_folder(const fs::path& directory) {
  const fs::path temporary = temporary_of(directory);
  std::error_code error;
  fs::remove_all(temporary, error);
  create_durable_folder(temporary);
}

void abandon_tensor_folder(const fs::path& directory) {
  std::error_code error;
  fs::remove_all(temporary_of(directory), error);
}

struct TensorPartsWriter::File {
  fs::path path;
  std::FILE* stream;
  std::uint64_t position = 0;
  json table = json::array();
  ~File() {
    if (stream) std::fclose(stream);
  }
  [[noreturn]] void fail_writing() const {
    fail(ErrorKind::failure, "{}: cannot be written: {}", path.string(), std::strerror(errno));
  }
  void put(const void* bytes, std::size_t count) {
    if (count && std::fwrite(bytes, 1, count, stream) != count) fail_writing();
    position += count;
  }
};

TensorPartsWriter::TensorPartsWriter(const fs::path& directory, int rank) : file_(std::make_unique<File>()) {
  file_->path = temporary_of(directory) / fmt::format("rank-{}.bin", rank);
  create_durable_folder(file_->path.parent_path());
  file_->stream = std::fopen(file_->path.c_str(), "wb");
  if (!file_->stream) fail(ErrorKind::failure, "{}: cannot be created: {}", file_->path.string(), std::strerror(errno));
}

TensorPartsWriter::~TensorPartsWriter() = default;

void TensorPartsWriter::write(std::size_t tensor, std::size_t first, std::span<const float> values) {
  static const std::vector<char> zeros(alignment, 0);
  constexpr std::size_t most = chunk_bytes / sizeof(float);
  for (std::size_t at = 0; at < values.size(); at += most) {
    const auto part = values.subspan(at, std::min(most, values.size() - at));
    const auto bytes = std::as_bytes(part);
    file_->put(zeros.data(), (alignment - file_->position % alignment) % alignment);
    file_->table.push_back({{"tensor", tensor},
                            {"offset", first + at},
                            {"extent", part.size()},
                            {"file", file_->path.filename().string()},
                            {"byte_offset", file_->position},
                            {"bytes", bytes.size()},
                            {"crc32c", hexadecimal(crc32c(bytes))}});
    file_->put(bytes.data(), bytes.size());
  }
}

json TensorPartsWriter::close() {
  const bool flushed = std::fflush(file_->stream) == 0;
  if (!flushed) file_->fail_writing();
  const int closed = std::fclose(std::exchange(file_->stream, nullptr));
  if (closed != 0) file_->fail_writing();
  sync_path(file_->path);
  return std::move(file_->table);
}

void commit_tensor_folder(const fs::path& directory, const json& header, std::span<const TensorShape> shapes,
                          std::span<const json> tables) {
  std::vector<std::vector<json>> chunks(shapes.size());
  for (const json& table : tables)
    for (const json& chunk : table) {
      const auto tensor = chunk.at("tensor").get<std::size_t>();
      if (tensor >= shapes.size()) fail(ErrorKind::failure, "{}: a part of no tensor", directory.string());
      chunks[tensor].push_back(chunk);
      chunks[tensor].back().erase("tensor");
    }
  json table = json::array();
  std::vector<std::string> order;
  std::map<std::string, Entry> entries;
  for (std::size_t t = 0; t < shapes.size(); ++t) {
    Entry entry;
    entry.shape = shapes[t].shape.empty() ? std::vector<std::size_t>{1} : shapes[t].shape;
    std::sort(chunks[t].begin(), chunks[t].end(),
              [](const json& a, const json& b) { return a.at("offset") < b.at("offset"); });
    std::size_t next = 0;
    for (const json& chunk : chunks[t]) {
      if (chunk.at("offset") != next)
        fail(ErrorKind::failure, "tensor {}: number {} is written {}", shapes[t].name, next,
             chunk.at("offset") > next ? "by no rank" : "twice");
      next += chunk.at("extent").get<std::size_t>();
      entry.crc = crc32c_joined(entry.crc, number_of(chunk.at("crc32c")), chunk.at("bytes").get<std::uint64_t>());
    }
    if (next != product(entry.shape))
      fail(ErrorKind::failure, "tensor {}: {} of {} numbers are written", shapes[t].name, next, product(entry.shape));
    table.push_back({{"name", shapes[t].name},
                     {"dtype", "f32"},
                     {"shape", entry.shape},
                     {"crc32c", hexadecimal(entry.crc)},
                     {"chunks", chunks[t]}});
    order.push_back(shapes[t].name);
    entries.emplace(shapes[t].name, std::move(entry));
  }
  const fs::path temporary = temporary_of(directory);
  const json manifest = {
      {"format", format_name},           {"version", format_version}, {"crc32c", manifest_checksum(header, table)},
      {"hash", hash_of(order, entries)}, {"header", header},          {"tensors", table}};
  {
    std::ofstream out(temporary / "manifest.json", std::ios::binary);
    out << manifest.dump(1) << '\n';
    out.flush();
    if (!out) fail(ErrorKind::failure, "{}: cannot be written", (temporary / "manifest.json").string());
  }
  sync_path(temporary / "manifest.json");
  replace_folder(temporary, directory);
}

void write_tensor_folder(const fs::path& directory, const json& header, std::span<const NamedTensor> tensors) {
  begin_tensor_folder(directory);
  try {
    TensorPartsWriter writer(directory, 0);
    std::vector<TensorShape> shapes;
    for (const NamedTensor& tensor : tensors) {
      if (tensor.values.size() != product(tensor.shape))
        fail(ErrorKind::failure, "tensor {}: {} values for a shape of {}", tensor.name, tensor.values.size(),
             product(tensor.shape));
      writer.write(shapes.size(), 0, tensor.values);
      shapes.push_back({tensor.name, tensor.shape});
    }
    const json table = writer.close();
    commit_tensor_folder(directory, header, shapes, std::span(&table, 1));
  } catch (...) {
    abandon_tensor_folder(directory);
    throw;
  }
}

struct TensorFolder::Contents {
  fs::path directory;
  json header;
  std::string hash;
  std::vector<std::string> order;
  std::map<std::string, Entry> entries;

  const Entry& entry(const std::string& name) const {
    const auto found = entries.find(name);
    if (found == entries.end()) fail(ErrorKind::data, "{}: holds no tensor '{}'", directory.string(), name);
    return found->second;
  }

  void read_chunk(const std::string& name, std::size_t index, const Chunk& chunk, std::span<float> values) const {
    const fs::path path = directory / chunk.file;
    std::ifstream in(path, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(chunk.byte_offset));
    in.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(chunk.bytes));
    if (!in)
      fail(ErrorKind::data, "{}: tensor {}, chunk {} (bytes {} to {}) cannot be read", path.string(), name, index,
           chunk.byte_offset, chunk.byte_offset + chunk.bytes);
    const std::uint32_t found = crc32c(std::as_bytes(values));
    if (found != chunk.crc)
      fail(ErrorKind::data, "{}: tensor {}, chunk {} (bytes {} to {}) is damaged: checksum {} instead of {}",
           path.string(), name, index, chunk.byte_offset, chunk.byte_offset + chunk.bytes, hexadecimal(found),
           hexadecimal(chunk.crc));
  }
};

TensorFolder::TensorFolder(const fs::path& directory) {
  auto contents = std::make_shared<Contents>();
  contents->directory = directory;
  const fs::path path = directory / "manifest.json";
  if (!fs::is_directory(directory)) fail(ErrorKind::data, "{}: no such folder", directory.string());
  try {
    const json manifest = json::parse(read_file(path));
    if (manifest.at("format") != format_name)
      fail(ErrorKind::data, "{}: format '{}', expected '{}'", path.string(), manifest.at("format").get<std::string>(),
           format_name);
    const int version = manifest.at("version").get<int>();
    if (version < 1 || version > format_version)
      fail(ErrorKind::data, "{}: version {}, this program reads versions 1 to {}", path.string(), version,
           format_version);
    if (manifest.at("crc32c") != manifest_checksum(manifest.at("header"), manifest.at("tensors")))
      fail(ErrorKind::data, "{}: damaged: checksum {} instead of {}", path.string(),
           manifest_checksum(manifest.at("header"), manifest.at("tensors")), manifest.at("crc32c").dump());
    contents->header = manifest.at("header");
    for (const json& tensor : manifest.at("tensors")) {
      Entry entry;
      entry.shape = tensor.at("shape").get<std::vector<std::size_t>>();
      const auto name = tensor.at("name").get<std::string>();
      if (tensor.at("dtype") != "f32" || entry.shape.empty())
        fail(ErrorKind::data, "{}: tensor {}: dtype {} of shape {}, expected f32 with one dimension or more",
             path.string(), name, tensor.at("dtype").dump(), tensor.at("shape").dump());
      const std::size_t width = version == 1 ? product(entry.shape, 1) : 1;  // numbers that chunks are counted in
      std::size_t next = 0;
      for (const json& c : tensor.at("chunks")) {
        const auto counted = [&](const char* key) {
          return (version == 1 ? c.at(key).at(0) : c.at(key)).get<std::size_t>() * width;
        };
        Chunk chunk;
        chunk.first = counted("offset");
        chunk.count = counted("extent");
        chunk.file = c.at("file").get<std::string>();
        chunk.byte_offset = c.at("byte_offset").get<std::uint64_t>();
        chunk.bytes = c.at("bytes").get<std::uint64_t>();
        chunk.crc = number_of(c.at("crc32c"));
        if (chunk.first != next || chunk.bytes != chunk.count * sizeof(float) ||
            chunk.file.find('/') != std::string::npos)
          fail(ErrorKind::data, "{}: tensor {}: chunk at number {} does not continue at {}", path.string(), name,
               chunk.first, next);
        next += chunk.count;
        entry.crc = crc32c_joined(entry.crc, chunk.crc, chunk.bytes);
        std::error_code error;
        const auto size = fs::file_size(directory / chunk.file, error);
        if (error || size < chunk.byte_offset + chunk.bytes)
          fail(ErrorKind::data, "{}: {} bytes, but tensor {}, chunk {} ends at byte {}: the file is truncated",
               (directory / chunk.file).string(), error ? 0 : size, name, entry.chunks.size(),
               chunk.byte_offset + chunk.bytes);
        entry.chunks.push_back(std::move(chunk));
      }
      if (next != product(entry.shape))
        fail(ErrorKind::data, "{}: tensor {}: chunks cover {} of {} numbers", path.string(), name, next,
             product(entry.shape));
      contents->order.push_back(name);
      contents->entries.emplace(name, std::move(entry));
    }
    contents->hash = hash_of(contents->order, contents->entries);
    if (version > 1 && manifest.at("hash") != contents->hash)
      fail(ErrorKind::data, "{}: damaged: hash {} instead of {}", path.string(), contents->hash,
           manifest.at("hash").dump());
  } catch (const json::exception& error) {
    fail(ErrorKind::data, "{}: not a manifest: {}", path.string(), error.what());
  } catch (const std::logic_error& error) {  // std::stoul
    fail(ErrorKind::data, "{}: not a manifest: {}", path.string(), error.what());
  }
  contents_ = std::move(contents);
}

const json& TensorFolder::header() const {
  return contents_->header;
}
std::vector<std::string> TensorFolder::names() const {
  return contents_->order;
}
const std::string& TensorFolder::hash() const {
  return contents_->hash;
}
bool TensorFolder::holds(const std::string& name) const {
  return contents_->entries.contains(name);
}
const std::vector<std::size_t>& TensorFolder::shape(const std::string& name) const {
  return contents_->entry(name).shape;
}

void TensorFolder::read(const std::string& name, std::span<float> values) const {
  const Entry& entry = contents_->entry(name);
  if (values.size() != product(entry.shape))
    fail(ErrorKind::data, "{}: tensor {} has {} values, {} were expected", contents_->directory.string(), name,
         product(entry.shape), values.size());
  read_range(name, 0, values);
}

void TensorFolder::read_rows(const std::string& name, std::size_t begin, std::size_t end,
                             std::span<float> values) const {
  const Entry& entry = contents_->entry(name);
  const std::size_t width = product(entry.shape, 1);
  if (begin > end || end > entry.shape[0] || values.size() != (end - begin) * width)
    fail(ErrorKind::failure, "{}: tensor {}: rows {} to {} of {} do not fit a buffer of {}",
         contents_->directory.string(), name, begin, end, entry.shape[0], values.size());
  read_range(name, begin * width, values);
}

void TensorFolder::read_range(const std::string& name, std::size_t begin, std::span<float> values) const {
  const Entry& entry = contents_->entry(name);
  const std::size_t end = begin + values.size();
  if (end > product(entry.shape))
    fail(ErrorKind::failure, "{}: tensor {}: numbers {} to {} of {}", contents_->directory.string(), name, begin, end,
         product(entry.shape));
  std::vector<float> whole;
  for (std::size_t i = 0; i < entry.chunks.size(); ++i) {
    const Chunk& chunk = entry.chunks[i];
    const std::size_t first = std::max(begin, chunk.first), last = std::min(end, chunk.first + chunk.count);
    if (first >= last) continue;
    const auto wanted = values.subspan(first - begin, last - first);
    if (wanted.size() == chunk.count) {
      contents_->read_chunk(name, i, chunk, wanted);
      continue;
    }
    whole.resize(chunk.count);  // a checksum covers the whole chunk
    contents_->read_chunk(name, i, chunk, whole);
    std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(first - chunk.first), wanted.size(), wanted.begin());
  }
}

void TensorFolder::verify() const {
  std::vector<float> values;
  for (const std::string& name : contents_->order) {
    const Entry& entry = contents_->entry(name);
    for (std::size_t i = 0; i < entry.chunks.size(); ++i) {
      values.resize(entry.chunks[i].bytes / 4);
      contents_->read_chunk(name, i, entry.chunks[i], values);
    }
  }
}

}  // namespace zonda::model
