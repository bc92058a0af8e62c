#include "core/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/durable_folder.hpp"
#include "core/error.hpp"

namespace zonda {

namespace fs = std::filesystem;

AtomicFile::AtomicFile(fs::path target) : target_(std::move(target)) {
  temporary_ = target_.parent_path() / ("." + target_.filename().string() + ".tmp");
  if (!target_.parent_path().empty()) create_durable_folder(target_.parent_path());
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void AtomicFile::commit() {
  sync_path(temporary_);
  std::error_code error;
  fs::rename(temporary_, target_, error);
  if (error) fail(ErrorKind::failure, "{}: cannot be put in place: {}", target_.string(), error.message());
  committed_ = true;
  sync_path(target_.parent_path().empty() ? fs::path(".") : target_.parent_path());
}

void write_file(const fs::path& path, std::string_view contents) {
  AtomicFile file(path);
  {
    std::ofstream out(file.temporary(), std::ios::binary);
    out.write(contents.data(), static_cast<std::streamsize>(contents.size()));
    out.close();
    if (!out) fail(ErrorKind::failure, "{}: cannot be written: {}", path.string(), std::strerror(errno));
  }
  file.commit();
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in || fs::is_directory(path))
    fail(ErrorKind::data, "{}: cannot be read: {}", path.string(), std::strerror(errno));
  std::ostringstream contents;
  contents << in.rdbuf();
  return contents.str();
}

void sync_path(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(ErrorKind::failure, "{}: cannot be opened to sync: {}", path.string(), std::strerror(errno));
  const int result = ::fsync(descriptor);
  const int reason = errno;
  ::close(descriptor);
  if (result != 0) fail(ErrorKind::failure, "{}: cannot be synced: {}", path.string(), std::strerror(reason));
}

}  // namespace zonda
