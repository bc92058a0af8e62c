#include "inference/bundle/bundle_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"

namespace zonda::inference {

namespace fs = std::filesystem;

namespace {
constexpr std::uint64_t page = 4096, cache_line = 64;
constexpr std::uint64_t many_pages = 4 * page;  // smaller tensors are not worth what alignment would add
}  // namespace

BundleWriter::BundleWriter(fs::path directory)
    : directory_(std::move(directory)), temporary_(directory_.string() + ".tmp") {
  std::error_code error;
  fs::remove_all(temporary_, error);
  if (!fs::create_directories(temporary_, error))
    fail(ErrorKind::failure, "{}: cannot be created: {}", temporary_.string(), error.message());
}

BundleWriter::~BundleWriter() {
  if (committed_) return;
  open_.clear();
  std::error_code error;
  fs::remove_all(temporary_, error);
}

void BundleWriter::put(const std::string& name, Open& file, const void* bytes, std::size_t count) const {
  const auto same = [&](const BundleFile& closed) { return closed.name == name; };
  if (std::any_of(files_.begin(), files_.end(), same)) fail(ErrorKind::failure, "{} is closed already", name);
  if (!file.stream) file.stream.reset(std::fopen((temporary_ / name).c_str(), "wb"));
  if (!file.stream || (count > 0 && std::fwrite(bytes, 1, count, file.stream.get()) != count))
    fail(ErrorKind::failure, "{}: cannot be written: {}", (temporary_ / name).string(), std::strerror(errno));
  file.bytes += count;
}

const BundleTensor& BundleWriter::add_tensor(const std::string& file, const std::string& name, model::DType dtype,
                                             std::vector<std::int64_t> shape, std::span<const std::byte> bytes) {
  static const std::vector<char> zeros(page, 0);
  Open& out = open_[file];
  const std::uint64_t alignment = bytes.size() >= many_pages ? page : cache_line;
  put(file, out, zeros.data(), (alignment - out.bytes % alignment) % alignment);
  BundleTensor tensor{name, file, dtype, std::move(shape), out.bytes, bytes.size(), sha256(bytes)};
  if (static_cast<std::uint64_t>(tensor.count()) * model::size_of(dtype) != bytes.size())
    fail(ErrorKind::failure, "tensor {}: {} bytes for a shape of {} numbers", name, bytes.size(), tensor.count());
  put(file, out, bytes.data(), bytes.size());
  return tensors_.emplace_back(std::move(tensor));
}

void BundleWriter::add_file(const std::string& name, std::string_view contents) {
  put(name, open_[name], contents.data(), contents.size());
}

std::span<const BundleFile> BundleWriter::seal() {
  for (auto& [name, file] : open_) {
    if (std::fflush(file.stream.get()) != 0)
      fail(ErrorKind::failure, "{}: cannot be written: {}", (temporary_ / name).string(), std::strerror(errno));
    file.stream.reset();
    sync_path(temporary_ / name);
    files_.push_back({name, file.bytes, sha256_file(temporary_ / name)});
  }
  open_.clear();
  return files_;
}

std::string BundleWriter::commit(BundleManifest manifest) {
  seal();
  manifest.files = files_;
  manifest.tensors = std::move(tensors_);
  const std::string text = manifest.to_text();
  BundleManifest::parse(text, (directory_ / "manifest.json").string());  // a reader would take it
  write_file(temporary_ / "manifest.json", text);
  sync_path(temporary_);
  // A folder cannot be renamed over a full one: the old one steps aside.
  const fs::path aside = directory_.string() + ".old.tmp";
  std::error_code error;
  if (fs::exists(directory_)) {
    fs::remove_all(aside, error);
    fs::rename(directory_, aside, error);
    if (error) fail(ErrorKind::failure, "{}: cannot be replaced: {}", directory_.string(), error.message());
  }
  fs::rename(temporary_, directory_, error);
  if (error) fail(ErrorKind::failure, "{}: cannot be renamed: {}", temporary_.string(), error.message());
  committed_ = true;
  fs::remove_all(aside, error);
  sync_path(directory_.parent_path().empty() ? fs::path(".") : directory_.parent_path());
  return sha256(text);
}

}  // namespace zonda::inference
