#pragma once
// Coordinates of CF data: what an array is the axis of, and the instants that time-like axes make together.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "ingest/sources/cf_dataset.hpp"
#include "ingest/sources/source.hpp"

namespace zonda::ingest {

enum class CfAxis { latitude, longitude, pressure, time, reference_time, lead, member, height, none };

/// By standard_name, units and axis, and only where they say nothing by the names in common use (`lat`, `level`,
/// `prediction_timedelta`): WeatherBench 2 and ARCO-ERA5 give no attributes to `level`.
CfAxis axis_of(const CfArray& array, const NameMapping& mapping);

/// The unit of an array: the user's, else its attribute.
std::string unit_of(const CfArray& array, const NameMapping& mapping);

/// Arrays by name, and which axis each dimension is.
class CfCoordinates {
 public:
  CfCoordinates(const CfDataset& dataset, const NameMapping& mapping);

  /// The coordinate array of a dimension: the one of its name, else a one-dimensional array of a known axis along it.
  std::optional<std::size_t> along(const std::string& dimension) const;
  /// A one-dimensional array along `dimension` that is the given axis.
  std::optional<std::size_t> along(const std::string& dimension, CfAxis axis) const;
  /// A scalar of that axis (or of length 1 on a dimension of its own): first those that the array names under
  /// `coordinates`.
  std::optional<std::size_t> scalar(const CfArray& array, CfAxis axis) const;
  CfAxis axis(std::size_t array) const { return axes_[array]; }
  std::optional<std::size_t> find(const std::string& name) const;
  /// Unpacked values. Throws Error(data): a missing value in a coordinate.
  const std::vector<double>& values(std::size_t array) const;

  std::vector<Time> times(std::size_t array) const;
  std::vector<Duration> leads(std::size_t array) const;
  /// Rounded to whole hPa. Throws Error(data): not a pressure, or between whole hPa.
  std::vector<int> levels_hpa(std::size_t array) const;
  /// Beginning and end of each cell of a time coordinate with `bounds`; empty without.
  std::vector<std::pair<Time, Time>> time_bounds(std::size_t array) const;
  /// The first time on any time axis of the file.
  std::optional<Time> first_time() const;

 private:
  std::string where(std::size_t array) const;
  const CfDataset& dataset_;
  const NameMapping& mapping_;
  std::vector<CfAxis> axes_;
  mutable std::vector<std::unique_ptr<std::vector<double>>> values_;
};

/// One field in time: where it is along the time-like dimensions, and when.
struct CfInstant {
  Time valid_time;
  std::optional<Time> reference_time;
  Duration accumulation{0};
  std::size_t time_index = 0, lead_index = 0;
};

/// What an array's time-like dimensions and coordinates say, ordered by (valid_time, reference_time).
/// `time_dimension`, `lead_dimension`: empty where the array has none. `accumulated`: the period comes from the bounds
/// of the time, the array's cell_methods (`interval: 6 hours`), an ending of its name (`_6hr`), or the lead time
/// (amounts since the start of the forecast); 0 where the file says nothing.
/// Throws Error(data): a time that cannot be understood.
std::vector<CfInstant> instants_of(const CfCoordinates& coordinates, const CfArray& array,
                                   const std::string& time_dimension, const std::string& lead_dimension,
                                   bool accumulated);

}  // namespace zonda::ingest
