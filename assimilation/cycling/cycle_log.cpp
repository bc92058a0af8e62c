#include "assimilation/cycling/cycle_log.hpp"

#include <fstream>
#include <sstream>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {

void CycleLog::begin(std::uint64_t bytes) {
  std::error_code missing;
  const std::uint64_t there = std::filesystem::exists(path_) ? std::filesystem::file_size(path_, missing) : 0;
  if (there < bytes)
    fail(ErrorKind::data, "{}: {} bytes, expected at least {}; remove the folder to start anew", path_.string(), there,
         bytes);
  if (there == 0) std::ofstream(path_).flush();
  std::filesystem::resize_file(path_, bytes);
  bytes_ = bytes;
}

void CycleLog::append(const nlohmann::ordered_json& record) {
  const std::string line = record.dump() + "\n";
  std::ofstream file(path_, std::ios::app);
  file << line;
  file.close();
  if (!file) fail(ErrorKind::failure, "{}: cannot be written", path_.string());
  sync_path(path_);
  bytes_ += line.size();
}

std::vector<nlohmann::ordered_json> CycleLog::records() const {
  std::vector<nlohmann::ordered_json> records;
  std::istringstream lines(read_file(path_));
  for (std::string line; std::getline(lines, line);) {
    records.push_back(nlohmann::ordered_json::parse(line, nullptr, false));
    if (records.back().is_discarded()) fail(ErrorKind::data, "{}, line {}: damaged", path_.string(), records.size());
  }
  return records;
}

}  // namespace zonda::assimilation
