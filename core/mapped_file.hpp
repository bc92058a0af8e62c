#pragma once
// MappedFile: a file's bytes in memory, read only. Its pages are the system's file cache: processes and models that
// map the same file share them.
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace zonda {

class MappedFile {
 public:
  /// Throws Error(data) with the system's reason; a folder, a device or a pipe is none.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// The pages read so far no longer count as this process's; they are read again when they are needed.
  void forget_pages() const;

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace zonda
