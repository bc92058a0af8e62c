#pragma once
// The area-weighted means behind the deterministic scores of one field: one pass over it gives all of them for all
// regions.
#include <array>
#include <span>
#include <vector>

#include "postproc/verification/region.hpp"

namespace zonda::postproc {

inline constexpr std::size_t field_quantities = 7;
/// FieldMeans' members as sums over rows, before they are divided by the region's area.
using FieldSums = std::array<double, field_quantities>;

/// Area-weighted means over one region at one time; anomalies are against the climatology of the valid time.
struct FieldMeans {
  double error = 0;  ///< forecast - truth
  double squared_error = 0;
  double absolute_error = 0;
  double forecast_anomaly = 0;  ///< f' = forecast - climatology
  double forecast_square = 0;   ///< f'^2
  double truth_square = 0;      ///< o'^2
  double anomaly_product = 0;   ///< f' o'
  /// Uncentred anomaly correlation: <f'o'> / sqrt(<f'^2> <o'^2>); NaN where an anomaly vanishes everywhere.
  double anomaly_correlation() const;
  /// Standard deviation of the forecast's anomaly over the region.
  double activity() const;
  static FieldMeans of(const FieldSums& sums, double area);
};

/// Adds what these rows bring to `sums[i]` for `regions[i]`: fields are `[row, lon]`, `climatology` in double.
void add_field_sums(std::span<const RegionWeights> regions, std::size_t nlon, parallel::Range rows,
                    std::span<const float> forecast, std::span<const float> truth, std::span<const double> climatology,
                    std::span<FieldSums> sums);

/// `means[i]` for `regions[i]`; fields are `[lat, lon]`, `climatology` in double. Regions without cells are left at
/// zero.
void field_means(std::span<const RegionWeights> regions, std::size_t nlon, std::span<const float> forecast,
                 std::span<const float> truth, std::span<const double> climatology, std::span<FieldMeans> means);

}  // namespace zonda::postproc
