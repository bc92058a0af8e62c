#include "core/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.hpp"

namespace zonda {

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const auto refuse = [&](const char* what) {
    fail(ErrorKind::data, "{}: cannot be {}: {}", path.string(), what, std::strerror(errno));
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) refuse("opened");
  struct Closed {
    int number;
    ~Closed() { ::close(number); }
  } const closed{file};
  struct stat status {};
  if (::fstat(file, &status) != 0) refuse("opened");
  if (!S_ISREG(status.st_mode)) fail(ErrorKind::data, "{}: not a plain file", path.string());
  std::shared_ptr<MappedFile> mapped(new MappedFile);
  mapped->size_ = static_cast<std::size_t>(status.st_size);
  if (mapped->size_ == 0) return mapped;
  void* data = ::mmap(nullptr, mapped->size_, PROT_READ, MAP_SHARED, file, 0);
  if (data == MAP_FAILED) {
    mapped->size_ = 0;
    refuse("mapped");
  }
  mapped->data_ = static_cast<const std::byte*>(data);
  return mapped;
}

void MappedFile::forget_pages() const {
  if (size_ > 0) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (size_ > 0) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace zonda
