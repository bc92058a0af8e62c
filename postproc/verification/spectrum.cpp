#include "postproc/verification/spectrum.hpp"

#include <cmath>
#include <complex>
#include <cstddef>
#include <kissfft.hh>

#include "core/constants.hpp"

namespace zonda::postproc {
namespace {

class RowTransform {
 public:
  explicit RowTransform(std::size_t length) : transform_(length, false), in_(length), out_(length) {}

  void add(std::span<const float> row, double circle, double weight, std::span<double> spectrum) {
    const std::size_t length = row.size();
    // The mean is taken out first, so that a large one does not drown the waves in rounding.
    double mean = 0;
    for (const float value : row) mean += value;
    mean /= static_cast<double>(length);
    for (std::size_t i = 0; i < length; ++i) in_[i] = row[i] - mean;
    transform_.transform(in_.data(), out_.data());
    spectrum[0] += weight * circle * mean * mean;
    for (std::size_t k = 1; k <= length / 2; ++k) {
      const double partners = 2 * k == length ? 1 : 2;
      spectrum[k] += weight * partners * circle * std::norm(out_[k]) / static_cast<double>(length * length);
    }
  }

 private:
  kissfft<double> transform_;
  std::vector<std::complex<double>> in_, out_;
};

}  // namespace

std::vector<double> zonal_spectrum(std::span<const float> row, double circle) {
  std::vector<double> spectrum(row.size() / 2 + 1, 0.0);
  RowTransform(row.size()).add(row, circle, 1, spectrum);
  return spectrum;
}

ZonalSpectrumSum::ZonalSpectrumSum(const Grid& grid, double south, double north)
    : grid_(grid), south_(south), north_(north) {
  for (std::size_t row = 0; row < grid.nlat(); ++row)
    if (counts(row)) weight_ += grid.row_weights()[row];
}

bool ZonalSpectrumSum::counts(std::size_t row) const {
  const double latitude = std::abs(grid_.latitudes()[row]);
  return grid_.periodic() && latitude >= south_ && latitude <= north_;
}

void ZonalSpectrumSum::add(parallel::Range rows, std::span<const float> values, std::span<double> sums) const {
  RowTransform transform(grid_.nlon());
  for (std::size_t row = rows.begin; row < rows.end; ++row) {
    if (!counts(row)) continue;
    const double circle =
        2 * constants::pi * constants::earth_radius * std::cos(grid_.latitudes()[row] * constants::pi / 180);
    transform.add(values.subspan((row - rows.begin) * grid_.nlon(), grid_.nlon()), circle, grid_.row_weights()[row],
                  sums);
  }
}

std::vector<double> mean_zonal_spectrum(const Grid& grid, std::span<const float> field, double south, double north) {
  const ZonalSpectrumSum sum(grid, south, north);
  if (sum.weight() <= 0) return {};
  std::vector<double> spectrum(grid.nlon() / 2 + 1, 0.0);
  sum.add({0, grid.nlat()}, field, spectrum);
  for (double& value : spectrum) value /= sum.weight();
  return spectrum;
}

}  // namespace zonda::postproc
