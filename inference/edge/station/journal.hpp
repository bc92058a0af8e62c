#pragma once
// What the agent did, line by line, each on the disk before the next thing is done. A line that was being written when
// the power went is dropped when the journal is opened again.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace zonda::edge {

class Journal {
 public:
  /// Reads what is there and goes on behind the last whole line. Throws Error(failure).
  explicit Journal(std::filesystem::path file, std::uint64_t longest_bytes = 1 << 20);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  /// Synced when it returns. Throws Error(failure).
  void append(const nlohmann::json& record);
  /// The last record, if there is one.
  const std::optional<nlohmann::json>& last() const { return last_; }
  /// Every whole line of a journal, oldest first.
  static std::vector<nlohmann::json> read(const std::filesystem::path& file);

 private:
  void open();
  void shorten();
  const std::filesystem::path file_;
  const std::uint64_t longest_;
  std::uint64_t bytes_ = 0;
  int descriptor_ = -1;
  std::optional<nlohmann::json> last_;
};

}  // namespace zonda::edge
