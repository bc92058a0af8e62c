#pragma once
// A file as memory: read only, shared by those who keep it, gone from memory when the system needs the room.
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace zonda::edge {

class MappedFile {
 public:
  /// Throws Error(data) where the file is missing, empty or no plain file.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

}  // namespace zonda::edge
