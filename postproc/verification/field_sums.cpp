#include "postproc/verification/field_sums.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace zonda::postproc {
namespace {

constexpr std::size_t quantities = 7;
constexpr std::size_t lanes = 4;  // independent partial sums, so that additions need not wait for one another

using Row = std::array<std::vector<double>, quantities>;

}  // namespace

double FieldMeans::anomaly_correlation() const {
  return anomaly_product / std::sqrt(forecast_square * truth_square);
}

double FieldMeans::activity() const {
  return std::sqrt(std::max(0.0, forecast_square - forecast_anomaly * forecast_anomaly));
}

void field_means(std::span<const RegionWeights> regions, std::size_t nlon, std::span<const float> forecast,
                 std::span<const float> truth, std::span<const double> climatology, std::span<FieldMeans> means) {
  std::vector<std::array<double, quantities>> sums(regions.size(), std::array<double, quantities>{});
  Row row_values;
  for (auto& values : row_values) values.resize(nlon);
  const std::size_t nlat = forecast.size() / nlon;
  for (std::size_t row = 0; row < nlat; ++row) {
    const float* f = forecast.data() + row * nlon;
    const float* t = truth.data() + row * nlon;
    const double* c = climatology.data() + row * nlon;
    for (std::size_t i = 0; i < nlon; ++i) {
      const double error = static_cast<double>(f[i]) - static_cast<double>(t[i]);
      const double forecast_anomaly = f[i] - c[i], truth_anomaly = t[i] - c[i];
      row_values[0][i] = error;
      row_values[1][i] = error * error;
      row_values[2][i] = std::abs(error);
      row_values[3][i] = forecast_anomaly;
      row_values[4][i] = forecast_anomaly * forecast_anomaly;
      row_values[5][i] = truth_anomaly * truth_anomaly;
      row_values[6][i] = forecast_anomaly * truth_anomaly;
    }
    for (std::size_t r = 0; r < regions.size(); ++r) {
      const RegionWeights& region = regions[r];
      if (row < region.first_row() || row >= region.end_row()) continue;
      const auto land = region.land_row(row);
      for (const auto& [begin, end] : region.columns()) {
        for (std::size_t q = 0; q < quantities; ++q) {
          const double* values = row_values[q].data();
          std::array<double, lanes> partial{};
          std::size_t i = begin;
          if (land.empty()) {
            for (; i + lanes <= end; i += lanes)
              for (std::size_t lane = 0; lane < lanes; ++lane) partial[lane] += values[i + lane];
            for (; i < end; ++i) partial[0] += values[i];
          } else {
            for (; i < end; ++i) partial[0] += land[i] * values[i];
          }
          sums[r][q] += region.row_weight(row) * ((partial[0] + partial[1]) + (partial[2] + partial[3]));
        }
      }
    }
  }
  for (std::size_t r = 0; r < regions.size(); ++r) {
    if (regions[r].total() <= 0) continue;
    auto& s = sums[r];
    for (double& value : s) value /= regions[r].total();
    means[r] = {s[0], s[1], s[2], s[3], s[4], s[5], s[6]};
  }
}

}  // namespace zonda::postproc
