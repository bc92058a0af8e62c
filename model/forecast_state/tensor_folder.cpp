#include "model/forecast_state/tensor_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"

namespace zonda::model {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* format_name = "zonda tensor folder";
constexpr int format_version = 1;
constexpr std::size_t alignment = 4096;        // chunks can be mapped or read with O_DIRECT
constexpr std::size_t chunk_bytes = 4u << 20;  // small enough to name the damage, large enough to stream

std::size_t product(const std::vector<std::size_t>& shape, std::size_t first = 0) {
  std::size_t n = 1;
  for (std::size_t i = first; i < shape.size(); ++i) n *= shape[i];
  return n;
}

struct Chunk {
  std::size_t row, rows;
  std::string file;
  std::uint64_t byte_offset, bytes;
  std::uint32_t crc;
};

struct Entry {
  std::vector<std::size_t> shape;
  std::vector<Chunk> chunks;
};

std::string hexadecimal(std::uint32_t value) {
  return fmt::format("{:08x}", value);
}

std::string manifest_checksum(const json& header, const json& tensors) {
  const std::string text = header.dump() + tensors.dump();
  return hexadecimal(crc32c(std::as_bytes(std::span(text))));
}

}  // namespace

void write_tensor_folder(const fs::path& directory, const json& header, std::span<const NamedTensor> tensors) {
  const fs::path temporary = directory.string() + ".tmp";
  std::error_code error;
  fs::remove_all(temporary, error);
  if (!fs::create_directories(temporary, error) && error)
    fail(ErrorKind::failure, "{}: cannot be created: {}", temporary.string(), error.message());

  const fs::path data_path = temporary / "rank-0.bin";
  json table = json::array();
  {
    std::FILE* file = std::fopen(data_path.c_str(), "wb");
    if (!file) fail(ErrorKind::failure, "{}: cannot be created: {}", data_path.string(), std::strerror(errno));
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> guard(file, std::fclose);
    const std::vector<char> zeros(alignment, 0);
    std::uint64_t position = 0;
    const auto put = [&](const void* bytes, std::size_t count) {
      if (count && std::fwrite(bytes, 1, count, file) != count)
        fail(ErrorKind::failure, "{}: cannot be written: {}", data_path.string(), std::strerror(errno));
      position += count;
    };
    for (const NamedTensor& tensor : tensors) {
      if (tensor.values.size() != product(tensor.shape))
        fail(ErrorKind::failure, "tensor {}: {} values for a shape of {}", tensor.name, tensor.values.size(),
             product(tensor.shape));
      const std::vector<std::size_t> shape = tensor.shape.empty() ? std::vector<std::size_t>{1} : tensor.shape;
      const std::size_t width = product(shape, 1);
      const std::size_t rows_a_chunk = std::max<std::size_t>(1, chunk_bytes / std::max<std::size_t>(1, width * 4));
      json chunks = json::array();
      for (std::size_t row = 0; row < shape[0]; row += rows_a_chunk) {
        const std::size_t rows = std::min(rows_a_chunk, shape[0] - row);
        const auto bytes = std::as_bytes(tensor.values.subspan(row * width, rows * width));
        put(zeros.data(), (alignment - position % alignment) % alignment);
        std::vector<std::size_t> offset(shape.size(), 0), extent = shape;
        offset[0] = row;
        extent[0] = rows;
        chunks.push_back({{"offset", offset},
                          {"extent", extent},
                          {"file", "rank-0.bin"},
                          {"byte_offset", position},
                          {"bytes", bytes.size()},
                          {"crc32c", hexadecimal(crc32c(bytes))}});
        put(bytes.data(), bytes.size());
      }
      table.push_back({{"name", tensor.name}, {"dtype", "f32"}, {"shape", shape}, {"chunks", chunks}});
    }
    if (std::fflush(file) != 0)
      fail(ErrorKind::failure, "{}: cannot be written: {}", data_path.string(), std::strerror(errno));
  }
  sync_path(data_path);
  const json manifest = {{"format", format_name},
                         {"version", format_version},
                         {"crc32c", manifest_checksum(header, table)},
                         {"header", header},
                         {"tensors", table}};
  {
    std::ofstream out(temporary / "manifest.json", std::ios::binary);
    out << manifest.dump(1) << '\n';
    out.flush();
    if (!out) fail(ErrorKind::failure, "{}: cannot be written", (temporary / "manifest.json").string());
  }
  sync_path(temporary / "manifest.json");
  sync_path(temporary);

  // A folder cannot be renamed over a full one: the old one steps aside under a name that a later start clears away.
  if (fs::exists(directory)) {
    const fs::path aside = directory.string() + ".old.tmp";
    fs::remove_all(aside, error);
    fs::rename(directory, aside, error);
    if (error) fail(ErrorKind::failure, "{}: cannot be replaced: {}", directory.string(), error.message());
  }
  fs::rename(temporary, directory, error);
  if (error) fail(ErrorKind::failure, "{}: cannot be renamed: {}", temporary.string(), error.message());
  fs::remove_all(directory.string() + ".old.tmp", error);
  sync_path(directory.parent_path().empty() ? fs::path(".") : directory.parent_path());
}

struct TensorFolder::Contents {
  fs::path directory;
  json header;
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
    if (manifest.at("version") != format_version)
      fail(ErrorKind::data, "{}: version {}, this program reads version {}", path.string(),
           manifest.at("version").dump(), format_version);
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
      const std::size_t width = product(entry.shape, 1);
      std::size_t row = 0;
      for (const json& c : tensor.at("chunks")) {
        Chunk chunk;
        chunk.row = c.at("offset").at(0).get<std::size_t>();
        chunk.rows = c.at("extent").at(0).get<std::size_t>();
        chunk.file = c.at("file").get<std::string>();
        chunk.byte_offset = c.at("byte_offset").get<std::uint64_t>();
        chunk.bytes = c.at("bytes").get<std::uint64_t>();
        chunk.crc = static_cast<std::uint32_t>(std::stoul(c.at("crc32c").get<std::string>(), nullptr, 16));
        if (chunk.row != row || chunk.bytes != chunk.rows * width * 4 || chunk.file.find('/') != std::string::npos)
          fail(ErrorKind::data, "{}: tensor {}: chunk at row {} does not continue at row {}", path.string(), name,
               chunk.row, row);
        row += chunk.rows;
        std::error_code error;
        const auto size = fs::file_size(directory / chunk.file, error);
        if (error || size < chunk.byte_offset + chunk.bytes)
          fail(ErrorKind::data, "{}: {} bytes, but tensor {} ends at byte {}: the file is truncated",
               (directory / chunk.file).string(), error ? 0 : size, name, chunk.byte_offset + chunk.bytes);
        entry.chunks.push_back(std::move(chunk));
      }
      if (row != entry.shape[0])
        fail(ErrorKind::data, "{}: tensor {}: chunks cover {} of {} rows", path.string(), name, row, entry.shape[0]);
      contents->order.push_back(name);
      contents->entries.emplace(name, std::move(entry));
    }
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
  read_rows(name, 0, entry.shape[0], values);
}

void TensorFolder::read_rows(const std::string& name, std::size_t begin, std::size_t end,
                             std::span<float> values) const {
  const Entry& entry = contents_->entry(name);
  const std::size_t width = product(entry.shape, 1);
  if (begin > end || end > entry.shape[0] || values.size() != (end - begin) * width)
    fail(ErrorKind::failure, "{}: tensor {}: rows {} to {} of {} do not fit a buffer of {}",
         contents_->directory.string(), name, begin, end, entry.shape[0], values.size());
  std::vector<float> whole;
  for (std::size_t i = 0; i < entry.chunks.size(); ++i) {
    const Chunk& chunk = entry.chunks[i];
    const std::size_t first = std::max(begin, chunk.row), last = std::min(end, chunk.row + chunk.rows);
    if (first >= last) continue;
    if (first == chunk.row && last == chunk.row + chunk.rows) {
      contents_->read_chunk(name, i, chunk, values.subspan((first - begin) * width, (last - first) * width));
      continue;
    }
    whole.resize(chunk.rows * width);  // a checksum covers the whole chunk
    contents_->read_chunk(name, i, chunk, whole);
    std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>((first - chunk.row) * width), (last - first) * width,
                values.begin() + static_cast<std::ptrdiff_t>((first - begin) * width));
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
