#pragma once
// Fields that look like the atmosphere's to a coder: waves of every length with a red spectrum, of each variable's
// size, drifting with time. The same values on every machine with the same libm.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "core/philox.hpp"
#include "core/state.hpp"

namespace zonda::ingest {

struct SyntheticAtmosphere {
  Grid grid;
  std::vector<Channel> channels;
  int waves = 48;

  /// `[channel, lat, lon]` at `time`.
  std::vector<float> fields(Time time) const {
    static const std::map<std::string, std::pair<double, double>> sizes{
        {"z", {54000, 3000}}, {"t", {255, 12}},    {"u", {8, 12}},      {"v", {0, 9}},           {"q", {4e-3, 2e-3}},
        {"2t", {282, 14}},    {"10u", {0, 6}},     {"10v", {0, 5}},     {"msl", {101300, 1100}}, {"sp", {98000, 4000}},
        {"sst", {290, 8}},    {"orog", {0, 3000}}, {"lsm", {0.5, 0.2}}, {"tp", {1.5e-3, 2e-4}}};
    std::vector<float> values(channels.size() * grid.size());
    const double days = static_cast<double>(time.time_since_epoch().count()) / 86400.0;
    const std::size_t nlat = grid.nlat(), nlon = grid.nlon();
    std::vector<float> rows(nlat), columns(nlon), sum(grid.size());
    for (std::size_t c = 0; c < channels.size(); ++c) {
      const Philox random(7, "synthetic " + channels[c].name());
      const auto found = sizes.find(channels[c].variable);
      const auto [base, spread] = found == sizes.end() ? std::pair{1.0, 0.1} : found->second;
      std::fill(sum.begin(), sum.end(), 0.0F);
      for (int w = 0; w < waves; ++w) {
        const auto i = static_cast<std::uint64_t>(4 * w);
        const double length = std::exp(std::log(std::min(160.0, static_cast<double>(nlon) / 4)) * w / waves);
        const double m = std::round(length), n = std::round(length * (0.3 + random.uniform(i)));
        const double amplitude = spread * std::pow(length, -1.3) * 0.6;
        const double drift = (random.uniform(i + 1) - 0.4) * 3 * days;
        for (std::size_t x = 0; x < nlon; ++x) {
          columns[x] = static_cast<float>(
              amplitude * std::cos(m * grid.longitudes()[x] * M_PI / 180 + drift + 6.28 * random.uniform(i + 2)));
        }
        for (std::size_t y = 0; y < nlat; ++y) {
          rows[y] = static_cast<float>(std::cos(n * grid.latitudes()[y] * M_PI / 180 + 6.28 * random.uniform(i + 3)) *
                                       std::cos(grid.latitudes()[y] * M_PI / 180));
        }
        for (std::size_t y = 0; y < nlat; ++y) {
          for (std::size_t x = 0; x < nlon; ++x) sum[y * nlon + x] += rows[y] * columns[x];
        }
      }
      for (std::size_t p = 0; p < grid.size(); ++p) {
        const double zonal = std::cos(2 * grid.latitudes()[p / nlon] * M_PI / 180);
        values[c * grid.size() + p] = static_cast<float>(base + spread * zonal + sum[p]);
      }
    }
    return values;
  }
};

}  // namespace zonda::ingest
