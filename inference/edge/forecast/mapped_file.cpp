#include "inference/edge/forecast/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.hpp"

namespace zonda::edge {

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(ErrorKind::data, "{}: cannot be read: {}", path.string(), std::strerror(errno));
  struct ::stat about {};
  if (::fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size == 0) {
    ::close(descriptor);
    fail(ErrorKind::data, "{}: expected a plain file that is not empty", path.string());
  }
  const auto length = static_cast<std::size_t>(about.st_size);
  void* const memory = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int reason = errno;
  ::close(descriptor);
  if (memory == MAP_FAILED) fail(ErrorKind::failure, "{}: cannot be mapped: {}", path.string(), std::strerror(reason));
  return std::shared_ptr<const MappedFile>(new MappedFile({static_cast<const std::byte*>(memory), length}));
}

MappedFile::~MappedFile() {
  ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace zonda::edge
