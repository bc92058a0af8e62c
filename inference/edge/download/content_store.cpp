#include "inference/edge/download/content_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;

void require_sha256(std::string_view text, std::string_view what) {
  const bool right = text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                     });
  if (!right) fail(ErrorKind::data, "{}: '{:.80}' is no SHA-256 (64 lower-case hexadecimal digits)", what, text);
}

ContentStore::ContentStore(fs::path root) : root_(std::move(root)) {
  std::error_code error;
  fs::create_directories(root_ / "partial", error);
  if (error) fail(ErrorKind::failure, "{}: cannot make the folder: {}", (root_ / "partial").string(), error.message());
}

fs::path ContentStore::path(const std::string& sha256) const {
  require_sha256(sha256, "content");
  return root_ / sha256;
}

fs::path ContentStore::partial_path(const std::string& sha256) const {
  require_sha256(sha256, "content");
  return root_ / "partial" / sha256;
}

bool ContentStore::has(const std::string& sha256) const {
  return fs::is_regular_file(path(sha256));
}

std::uint64_t ContentStore::partial_bytes(const std::string& sha256) const {
  std::error_code missing;
  const auto bytes = fs::file_size(partial_path(sha256), missing);
  return missing ? 0 : bytes;
}

void ContentStore::put(const std::string& sha256, std::string_view contents) {
  if (zonda::sha256(contents) != sha256)
    fail(ErrorKind::data, "content {:.12}: these bytes have the SHA-256 {:.12}", sha256, zonda::sha256(contents));
  write_file(path(sha256), contents);
}

void ContentStore::link(const std::string& sha256, const fs::path& link) const {
  fs::create_directories(link.parent_path());
  std::error_code error;
  fs::remove(link, error);
  fs::create_hard_link(path(sha256), link, error);
  if (error) fail(ErrorKind::failure, "{}: cannot be linked to {}: {}", link.string(), sha256, error.message());
}

bool ContentStore::verify(const std::string& sha256) {
  if (!has(sha256)) return false;
  if (sha256_file(path(sha256)) == sha256) return true;
  log::warning("content {:.12}: damaged on disk; it will be fetched again", sha256);
  remove(sha256);
  return false;
}

void ContentStore::remove(const std::string& sha256) {
  std::error_code ignored;
  fs::remove(path(sha256), ignored);
}

void ContentStore::remove_partial(const std::string& sha256) {
  std::error_code ignored;
  fs::remove(partial_path(sha256), ignored);
}

std::uint64_t ContentStore::collect_garbage(const std::set<std::string>& referenced) {
  std::uint64_t freed = 0;
  for (const fs::path& folder : {root_, root_ / "partial"}) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!entry.is_regular_file() || referenced.contains(entry.path().filename().string())) continue;
      freed += entry.file_size();
      std::error_code ignored;
      fs::remove(entry.path(), ignored);
    }
  }
  return freed;
}

std::uint64_t ContentStore::free_bytes() const {
  return fs::space(root_).available;
}

PartialFile::PartialFile(ContentStore& store, std::string sha256, std::size_t chunk)
    : store_(store), sha256_(std::move(sha256)), chunk_(chunk) {
  const fs::path path = store_.partial_path(sha256_);
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail(ErrorKind::failure, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
  std::vector<std::byte> buffer(1 << 16);
  for (;;) {
    const ssize_t got = ::read(descriptor_, buffer.data(), buffer.size());
    if (got < 0) fail(ErrorKind::failure, "{}: cannot be read: {}", path.string(), std::strerror(errno));
    if (got == 0) break;
    hash_.add(std::span(buffer.data(), static_cast<std::size_t>(got)));
    bytes_ += static_cast<std::uint64_t>(got);
  }
}

PartialFile::~PartialFile() {
  try {
    flush();
  } catch (const Error& error) {
    log::warning("{}", error.what());
  }
  ::close(descriptor_);
}

void PartialFile::append(std::span<const std::byte> piece) {
  hash_.add(piece);
  bytes_ += piece.size();
  while (!piece.empty()) {
    const std::size_t n = std::min(piece.size(), chunk_ - gathered_.size());
    gathered_.append(reinterpret_cast<const char*>(piece.data()), n);
    piece = piece.subspan(n);
    if (gathered_.size() == chunk_) write_gathered();
  }
}

void PartialFile::write_gathered() {
  std::size_t done = 0;
  while (done < gathered_.size()) {
    const ssize_t n = ::write(descriptor_, gathered_.data() + done, gathered_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      fail(ErrorKind::failure, "{}: cannot be written: {}", store_.partial_path(sha256_).string(),
           std::strerror(errno));
    done += static_cast<std::size_t>(n);
  }
  gathered_.clear();
}

void PartialFile::flush() {
  write_gathered();
}

void PartialFile::restart() {
  gathered_.clear();
  hash_ = Sha256();
  bytes_ = 0;
  if (::ftruncate(descriptor_, 0) != 0 || ::lseek(descriptor_, 0, SEEK_SET) != 0)
    fail(ErrorKind::failure, "{}: cannot be emptied: {}", store_.partial_path(sha256_).string(), std::strerror(errno));
}

void PartialFile::commit() {
  flush();
  const std::string found = hash_.hexadecimal();
  if (found != sha256_) {
    restart();
    fail(ErrorKind::data, "content {:.12}: what was received has the SHA-256 {:.12}", sha256_, found);
  }
  ::fchmod(descriptor_, 0444);
  if (::fsync(descriptor_) != 0)
    fail(ErrorKind::failure, "{}: cannot be synced: {}", store_.partial_path(sha256_).string(), std::strerror(errno));
  std::error_code error;
  fs::rename(store_.partial_path(sha256_), store_.path(sha256_), error);
  if (error) fail(ErrorKind::failure, "{}: cannot be put in place: {}", sha256_, error.message());
  sync_path(store_.root());
}

}  // namespace zonda::edge
