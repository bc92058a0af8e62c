#pragma once
// The reports of stations as they came, one JSON a line, and the newest of each station.
#include <filesystem>
#include <mutex>
#include <string_view>

#include "inference/edge/hub/wave_gate.hpp"

namespace zonda::edge {

class ReportBook {
 public:
  /// Reads what was kept; lines that a killed writer left unfinished are passed over.
  explicit ReportBook(std::filesystem::path file);
  /// Verifies, keeps and counts a report. One that is older than the station's newest is refused: it may be another's
  /// replay; so is one from more than a day after `now`, for it would silence a station whose clock is set right later.
  /// Returns whether it tells of another model or state than the one before. Throws Error(data).
  bool add(std::string_view text, Time now);
  Reports newest() const;

  static constexpr std::size_t stations = 100'000;                           ///< known at most
  static constexpr std::uintmax_t longest_file = std::uintmax_t{256} << 20;  ///< then a new one is begun, one old kept

 private:
  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  Reports newest_;
};

}  // namespace zonda::edge
