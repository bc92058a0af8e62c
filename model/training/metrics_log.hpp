#pragma once
// Metrics as JSON lines. A resumed run cuts the file back to where its checkpoint was, so that its bytes are those of
// an unbroken run.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace zonda::model {

class MetricsLog {
 public:
  /// Opens `path`, cut to `length` bytes (what follows was written after the checkpoint). Throws Error(data) if the
  /// file is shorter, Error(failure) if it cannot be opened.
  MetricsLog(const std::filesystem::path& path, std::uint64_t length);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;
  void write(const nlohmann::json& line);
  /// Bytes so far, all of them on the disk.
  std::uint64_t sync();
  std::uint64_t length() const { return length_; }  ///< in bytes, those of write() included
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::FILE* file_;
  std::uint64_t length_;
};

}  // namespace zonda::model
