#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace zonda::postproc {

struct StationMark {
  double latitude, longitude, value;
};

/// A dot for each station on a map of the globe, coloured by its value from 0 up, with a key.
void draw_station_map(const std::string& title, const std::string& subtitle, const std::string& unit,
                      const std::vector<StationMark>& marks, bool coast, const std::filesystem::path& png);

}  // namespace zonda::postproc
