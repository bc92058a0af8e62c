#pragma once
// An archive small enough for tests that a network can learn from: waves that turn around the globe, each channel at
// its own speed, redrawn now and then so that no example can be known by heart.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/constants.hpp"
#include "core/philox.hpp"
#include "ingest/archive/manifest.hpp"
#include "ingest/archive/static_file.hpp"
#include "ingest/archive/unit_writer.hpp"

namespace zonda {

struct TurningWaves {
  Grid grid = Grid::latlon(8, 16, false);
  std::vector<Channel> channels{{"z", 500}, {"t", 850}};
  std::size_t times = 80;
  Time first = parse_time("2001-03-01");
  Duration step{6 * 3600};
  double columns_a_step = 1;           ///< eastward shift of the first channel in one step
  std::size_t redraw_every = 40;       ///< times
  std::vector<std::size_t> missing{};  ///< indices of times that are left out
  std::size_t tile_rows = 0;           ///< of the archive's chunks; 0: as ingest chooses

  /// `[channel, lat, lon]`, SI.
  std::vector<float> fields(std::size_t t) const {
    std::vector<float> values(channels.size() * grid.size());
    const std::size_t nlon = grid.nlon();
    for (std::size_t c = 0; c < channels.size(); ++c) {
      const Philox random(11, "waves of " + channels[c].name());
      const double size = channels[c].variable == "z" ? 2000 : channels[c].variable == "tp" ? 1e-3 : 8;
      const double mean = channels[c].variable == "z" ? 54000 : channels[c].variable == "t" ? 280 : 0;
      const double shift = 2 * constants::pi * columns_a_step * static_cast<double>(t) / static_cast<double>(nlon) /
                           static_cast<double>(c + 1);
      for (std::size_t y = 0; y < grid.nlat(); ++y)
        for (std::size_t x = 0; x < nlon; ++x) {
          double sum = 0;
          for (std::uint64_t m = 1; m <= 3; ++m) {
            const std::uint64_t key = (t / redraw_every * 8 + m) * 4;
            sum += random.normal(key) *
                   std::cos(static_cast<double>(m) * (grid.longitudes()[x] * constants::pi / 180 - shift) +
                            6.28 * random.uniform(key + 2) + random.normal(key + 3) * static_cast<double>(y) / 4);
          }
          double value = mean + size * sum * std::cos(grid.latitudes()[y] * constants::pi / 180);
          if (channels[c].variable == "tp") value = std::max(0.0, value);
          values[c * grid.size() + y * nlon + x] = static_cast<float>(value);
        }
    }
    return values;
  }

  std::vector<Time> axis() const {
    std::vector<Time> all;
    for (std::size_t t = 0; t < times; ++t)
      if (std::find(missing.begin(), missing.end(), t) == missing.end())
        all.push_back(first + static_cast<int>(t) * step);
    return all;
  }

  /// Writes a finished archive with its statistics. `damage(t, fields)` may change what is written.
  template <class Damage>
  void write(const std::filesystem::path& folder, Damage&& damage) const {
    using namespace ingest;
    std::filesystem::create_directories(folder);
    const std::size_t n = channels.size(), points = grid.size();
    const ArchiveLayout layout{grid, channels, std::vector<int>(n, 16),
                               Tiling::choose(n, grid.nlat(), grid.nlon(), tile_rows)};
    UnitWriter writer(folder / "fields-a.h5", layout, axis());
    std::vector<std::vector<float>> all(times);
    std::size_t written = 0;
    for (std::size_t t = 0; t < times; ++t) {
      if (std::find(missing.begin(), missing.end(), t) != missing.end()) continue;
      all[t] = fields(t);
      damage(t, all[t]);
      writer.write(all[t]);
      ++written;
    }
    const UnitFiles files = writer.close();
    const auto moments = [&](std::size_t c, std::size_t distance, double& mean, double& stddev) {
      double sum = 0, squares = 0, count = 0;
      for (std::size_t t = distance; t < times; ++t) {
        if (all[t].empty() || all[t - distance].empty()) continue;
        for (std::size_t i = c * points; i < (c + 1) * points; ++i) {
          const double value = distance ? static_cast<double>(all[t][i]) - all[t - distance][i] : all[t][i];
          if (!std::isfinite(value)) continue;
          sum += value;
          squares += value * value;
          ++count;
        }
      }
      mean = sum / count;
      stddev = std::sqrt(std::max(0.0, squares / count - mean * mean));
    };
    Statistics statistics{axis().front(),        axis().back(),        std::vector<double>(n), std::vector<double>(n),
                          std::vector(n, -1e30), std::vector(n, 1e30), std::vector(n, 1.0),    {}};
    for (std::size_t c = 0; c < n; ++c) {
      moments(c, 0, statistics.mean[c], statistics.stddev[c]);
      for (const std::size_t distance : {1, 2, 4}) {
        auto& tendency = statistics.tendencies[static_cast<int>(distance) * step];
        tendency.mean.resize(n);
        tendency.stddev.resize(n);
        moments(c, distance, tendency.mean[c], tendency.stddev[c]);
      }
    }
    const std::vector<Channel> statics{{"orog", 0}};
    std::vector<float> orography(points);
    for (std::size_t i = 0; i < points; ++i) orography[i] = static_cast<float>(100 * (i % 7));
    const StaticFile static_file = write_static_file(folder / kStaticName, grid, statics, orography);
    std::vector<Time> gaps;
    for (const std::size_t t : missing) gaps.push_back(first + static_cast<int>(t) * step);
    Manifest manifest{layout,
                      {axis().front(), axis().back(), step, gaps},
                      {{"fields-a.h5", 0, written, files}},
                      static_file.records,
                      static_file.crc32c,
                      statistics,
                      "{\"code\": \"test\"}",
                      ""};
    write_file(folder / kManifestName, encode_manifest(manifest));
  }
  void write(const std::filesystem::path& folder) const {
    write(folder, [](std::size_t, std::vector<float>&) {});
  }
};

/// A fresh folder for one test, removed at its end.
struct TemporaryFolder {
  std::filesystem::path path;
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "zonda-test-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::filesystem::path operator/(const std::string& name) const { return path / name; }
};

}  // namespace zonda
