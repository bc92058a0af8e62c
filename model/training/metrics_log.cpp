#include "model/training/metrics_log.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.hpp"

namespace zonda::model {

namespace fs = std::filesystem;

MetricsLog::MetricsLog(const fs::path& path, std::uint64_t length) : path_(path), length_(length) {
  std::error_code error;
  const std::uint64_t present = fs::exists(path) ? fs::file_size(path, error) : 0;
  if (present < length)
    fail(ErrorKind::data, "{}: {} bytes, but the checkpoint was made when it had {}", path.string(), present, length);
  if (present > length) fs::resize_file(path, length, error);
  file_ = error ? nullptr : std::fopen(path.c_str(), "ab");
  if (!file_) fail(ErrorKind::failure, "{}: cannot be written: {}", path.string(), std::strerror(errno));
}

MetricsLog::~MetricsLog() {
  std::fclose(file_);
}

void MetricsLog::write(const nlohmann::json& line) {
  const std::string text = line.dump() + '\n';
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fflush(file_) != 0)
    fail(ErrorKind::failure, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
  length_ += text.size();
}

std::uint64_t MetricsLog::sync() {
  if (::fsync(::fileno(file_)) != 0)
    fail(ErrorKind::failure, "{}: cannot be synced: {}", path_.string(), std::strerror(errno));
  return length_;
}

}  // namespace zonda::model
