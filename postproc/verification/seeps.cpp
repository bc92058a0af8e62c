#include "postproc/verification/seeps.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::postproc {

double seeps_dry_threshold(double accumulation_hours) {
  if (accumulation_hours == 24) return 0.25e-3;
  if (accumulation_hours == 6) return 0.1e-3;
  fail(ErrorKind::usage, "SEEPS is defined for precipitation over 24 h or 6 h, not {} h", accumulation_hours);
}

SeepsClimate seeps_climate(std::span<double> values, double dry_threshold) {
  std::sort(values.begin(), values.end());
  const auto wet = std::lower_bound(values.begin(), values.end(), dry_threshold);
  const auto dry_count = static_cast<double>(wet - values.begin());
  SeepsClimate climate{dry_count / static_cast<double>(values.size()), dry_threshold};
  const auto count = values.end() - wet;
  if (count > 0) {
    // Linear interpolation between order statistics, as numpy.quantile.
    const double position = 2.0 / 3.0 * static_cast<double>(count - 1);
    const auto lower = static_cast<std::ptrdiff_t>(position);
    const double fraction = position - static_cast<double>(lower);
    const double below = *(wet + lower);
    climate.heavy_threshold = lower + 1 < count ? below + fraction * (*(wet + lower + 1) - below) : below;
  }
  return climate;
}

std::size_t seeps_category(double value, double dry_threshold, const SeepsClimate& climate) {
  if (value < dry_threshold) return 0;
  return value < climate.heavy_threshold ? 1 : 2;
}

std::array<std::array<double, 3>, 3> seeps_matrix(double p1) {
  std::array<std::array<double, 3>, 3> matrix{
      {{0, 1 / (1 - p1), 4 / (1 - p1)}, {1 / p1, 0, 3 / (1 - p1)}, {1 / p1 + 3 / (2 + p1), 3 / (2 + p1), 0}}};
  for (auto& row : matrix)
    for (double& value : row) value *= 0.5;
  return matrix;
}

double seeps(double forecast, double truth, double dry_threshold, const SeepsClimate& climate) {
  return seeps_matrix(climate.dry_fraction)[seeps_category(forecast, dry_threshold, climate)]
                                           [seeps_category(truth, dry_threshold, climate)];
}

}  // namespace zonda::postproc
