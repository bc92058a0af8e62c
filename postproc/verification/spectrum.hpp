#pragma once
// Zonal spectrum: power by wavenumber along circles of latitude (WeatherBench 2's definition).
#include <span>
#include <vector>

#include "core/grid.hpp"
#include "parallel/partition.hpp"

namespace zonda::postproc {

/// F_k = 1/L sum_l f_l exp(-2 pi i k l / L), S_0 = C |F_0|^2, S_k = 2 C |F_k|^2 for 0 < k < L/2; at k = L/2 (even L),
/// which has no partner, C |F|^2. So sum_k S_k = C mean(f^2) exactly (Parseval). `circle` is the length C of the
/// circle, m. Returns L/2 + 1 values, in (unit of f)^2 m.
std::vector<double> zonal_spectrum(std::span<const float> row, double circle);

/// Mean spectrum of the rows with south <= |latitude| <= north, weighted by cell area. Empty where the grid is not
/// periodic or has no such row.
std::vector<double> mean_zonal_spectrum(const Grid& grid, std::span<const float> field, double south = 30,
                                        double north = 60);

/// The same from parts of the rows: sums that divide by weight() to the mean.
class ZonalSpectrumSum {
 public:
  ZonalSpectrumSum(const Grid& grid, double south = 30, double north = 60);
  /// 0 where the grid is not periodic or has no such row.
  double weight() const { return weight_; }
  /// `values [row, lon]` of `rows`; `sums` [L/2 + 1].
  void add(parallel::Range rows, std::span<const float> values, std::span<double> sums) const;

 private:
  Grid grid_;
  double south_, north_, weight_ = 0;
  bool counts(std::size_t row) const;
};

}  // namespace zonda::postproc
