#include "postproc/verification/field_sums.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace zonda::postproc {
namespace {

constexpr std::size_t quantities = field_quantities;
constexpr std::size_t lanes = 4;  // independent partial sums, so that additions need not wait for one another

using Row = std::array<std::vector<double>, quantities>;

}  // namespace

double FieldMeans::anomaly_correlation() const {
  return anomaly_product / std::sqrt(forecast_square * truth_square);
}

double FieldMeans::activity() const {
  return std::sqrt(std::max(0.0, forecast_square - forecast_anomaly * forecast_anomaly));
}

FieldMeans FieldMeans::of(const FieldSums& s, double area) {
  return {s[0] / area, s[1] / area, s[2] / area, s[3] / area, s[4] / area, s[5] / area, s[6] / area};
}

void add_field_sums(std::span<const RegionWeights> regions, std::size_t nlon, parallel::Range rows,
                    std::span<const float> forecast, std::span<const float> truth, std::span<const double> climatology,
                    std::span<FieldSums> sums) {
  Row row_values;
  for (auto& values : row_values) values.resize(nlon);
  for (std::size_t row = rows.begin; row < rows.end; ++row) {
    const float* f = forecast.data() + (row - rows.begin) * nlon;
    const float* t = truth.data() + (row - rows.begin) * nlon;
    const double* c = climatology.data() + (row - rows.begin) * nlon;
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
}

void field_means(std::span<const RegionWeights> regions, std::size_t nlon, std::span<const float> forecast,
                 std::span<const float> truth, std::span<const double> climatology, std::span<FieldMeans> means) {
  std::vector<FieldSums> sums(regions.size(), FieldSums{});
  add_field_sums(regions, nlon, {0, forecast.size() / nlon}, forecast, truth, climatology, sums);
  for (std::size_t r = 0; r < regions.size(); ++r)
    if (regions[r].total() > 0) means[r] = FieldMeans::of(sums[r], regions[r].total());
}

}  // namespace zonda::postproc
