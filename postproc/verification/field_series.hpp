#pragma once
// What forecasts are verified against: fields of several channels on one grid at a series of times.
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"

namespace zonda::postproc {

class FieldSeries {
 public:
  virtual ~FieldSeries() = default;
  virtual const Grid& grid() const = 0;
  virtual const std::vector<Channel>& channels() const = 0;
  virtual const std::vector<Time>& times() const = 0;  ///< ascending
  /// Names this data: two series with the same identity hold the same fields.
  virtual std::string identity() const = 0;
  /// The training period: the default for the climatology.
  virtual std::pair<Time, Time> training_period() const = 0;
  /// Land fraction `[lat, lon]` in 0..1, if there is one.
  virtual std::optional<std::vector<float>> land_fraction() const = 0;
  /// Rows [row_begin, row_end) of all channels: `out [channel, row_end - row_begin, lon]`. Thread safe.
  virtual void read(std::size_t time_index, std::size_t row_begin, std::size_t row_end, std::span<float> out) const = 0;
  /// One channel of it: `out [row_end - row_begin, lon]`.
  virtual void read_channel(std::size_t time_index, std::size_t channel, std::size_t row_begin, std::size_t row_end,
                            std::span<float> out) const = 0;
  std::optional<std::size_t> find_time(Time time) const;
};

/// The archive as a series. Throws Error(data) as ArchiveReader does.
std::unique_ptr<FieldSeries> open_archive_series(const std::filesystem::path& directory);

}  // namespace zonda::postproc
