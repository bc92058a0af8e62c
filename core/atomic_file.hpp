#pragma once
// Files appear whole or not at all: written under a temporary name beside the target, synced, renamed.
#include <filesystem>
#include <string>
#include <string_view>

namespace zonda {

/// For writers that need a path (HDF5, NetCDF, cairo): write to temporary(), then commit(). Without commit it is
/// removed. The temporary name is `.NAME.tmp`, fixed, so that a killed run's leftover is overwritten and never stays.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  const std::filesystem::path& temporary() const { return temporary_; }
  /// fsync, rename, fsync of the folder. Throws Error(failure).
  void commit();

 private:
  std::filesystem::path target_, temporary_;
  bool committed_ = false;
};

/// Writes `contents` to `path` atomically. Throws Error(failure) with the system's reason.
void write_file(const std::filesystem::path& path, std::string_view contents);
/// Throws Error(data) if it cannot be read.
std::string read_file(const std::filesystem::path& path);
/// fsync of a file or folder. Throws Error(failure).
void sync_path(const std::filesystem::path& path);

}  // namespace zonda
