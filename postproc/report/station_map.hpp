#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace zonda::postproc {

struct StationMark {
  double latitude, longitude, value;
};

enum class StationScale { from_zero, about_zero };

/// A dot for each station on a map of the globe, coloured by its value, with a key: from 0 up, or from as far below 0
/// as above.
void draw_station_map(const std::string& title, const std::string& subtitle, const std::string& unit,
                      const std::vector<StationMark>& marks, bool coast, const std::filesystem::path& png,
                      StationScale scale = StationScale::from_zero);

}  // namespace zonda::postproc
