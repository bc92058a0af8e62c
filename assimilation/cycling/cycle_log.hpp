#pragma once
// The records of a cycle, one JSON line each.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

namespace zonda::assimilation {

class CycleLog {
 public:
  explicit CycleLog(std::filesystem::path path) : path_(std::move(path)) {}
  /// Cuts off what was written after the first `bytes`. Throws Error(data) where there are fewer.
  void begin(std::uint64_t bytes);
  /// Is on the disk when this returns.
  void append(const nlohmann::ordered_json& record);
  std::uint64_t bytes() const { return bytes_; }
  std::vector<nlohmann::ordered_json> records() const;

 private:
  std::filesystem::path path_;
  std::uint64_t bytes_ = 0;
};

}  // namespace zonda::assimilation
