#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "assimilation/covariance/harmonic_synthesis.hpp"
#include "assimilation/covariance/spectral_statistics.hpp"
#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Index index(std::size_t i) {
  return static_cast<Eigen::Index>(i);
}

Vector numbers(const Matrix& matrix) {
  return {matrix.data(), matrix.data() + matrix.size()};
}

/// Offsets of the fields that share each standard deviation: both of a wind, one of a scalar.
std::vector<std::vector<std::size_t>> offsets_of(const StatisticalFields& fields) {
  std::vector<std::vector<std::size_t>> result;
  for (const auto& wind : fields.winds) result.push_back({wind.u, wind.v});
  for (const std::size_t scalar : fields.scalars) result.push_back({scalar});
  return result;
}

/// The last slot of each sample, about the mean of all.
std::vector<Vector> centred(const AtmosphereLayout& layout, std::span<const Vector> samples) {
  if (samples.size() < 3) fail(ErrorKind::usage, "calibration from {} samples, expected at least 3", samples.size());
  std::vector<Vector> result;
  Vector mean(layout.slot_size);
  for (const Vector& sample : samples) {
    if (sample.size() != layout.slot_size && sample.size() != layout.state_size())
      fail(ErrorKind::usage, "a sample of {} numbers, expected {}", sample.size(), layout.state_size());
    const ConstView slot = ConstView(sample).last(layout.slot_size);
    result.emplace_back(slot.begin(), slot.end());
    axpy(1 / static_cast<double>(samples.size()), slot, mean);
  }
  for (Vector& sample : result) axpy(-1, mean, sample);
  return result;
}

/// [field][lat], smoothed by a Gaussian over latitude with cell areas as weights.
std::vector<Vector> standard_deviations(const AtmosphereLayout& layout, const StatisticalFields& fields,
                                        const std::vector<Vector>& samples, const CalibrationSettings& settings) {
  const Grid& grid = layout.grid;
  std::vector<Vector> result;
  for (const auto& offsets : offsets_of(fields)) {
    Vector variance(grid.nlat()), smooth(grid.nlat());
    const double terms =
        static_cast<double>(offsets.size() * grid.nlon() * (samples.size() - 1)) / settings.variance_factor;
    for (const Vector& sample : samples)
      for (const std::size_t offset : offsets)
        for (std::size_t i = 0; i < grid.size(); ++i)
          variance[i / grid.nlon()] += sample[offset + i] * sample[offset + i] / terms;
    for (std::size_t row = 0; row < grid.nlat(); ++row) {
      double sum = 0, total = 0;
      for (std::size_t other = 0; other < grid.nlat(); ++other) {
        const double away = (grid.latitudes()[row] - grid.latitudes()[other]) / settings.latitude_smoothing;
        const double weight = grid.row_weights()[other] * std::exp(-away * away / 2);
        sum += weight * variance[other];
        total += weight;
      }
      smooth[row] = std::sqrt(sum / total);
    }
    result.push_back(std::move(smooth));
  }
  return result;
}

/// Coefficients [parameter][coefficient] of a sample divided by the deviations; 0 where a field has none.
Vector coefficients_of(const AtmosphereLayout& layout, const StatisticalFields& fields,
                       const HarmonicSynthesis& harmonics, const std::vector<Vector>& deviations,
                       const Vector& sample) {
  const std::size_t points = layout.grid.size(), winds = fields.winds.size(), size = harmonics.coefficients();
  const auto divided = [&](std::size_t offset, const Vector& deviation) {
    Vector field(points);
    for (std::size_t i = 0; i < points; ++i) {
      const double by = deviation[i / layout.grid.nlon()];
      field[i] = by > 0 ? sample[offset + i] / by : 0;
    }
    return field;
  };
  Vector result(fields.parameters() * size);
  const View all(result);
  for (std::size_t k = 0; k < winds; ++k)
    harmonics.analyse_wind(1, divided(fields.winds[k].u, deviations[k]), divided(fields.winds[k].v, deviations[k]),
                           all.subspan(k * size, size), all.subspan((winds + k) * size, size));
  for (std::size_t s = 0; s < fields.scalars.size(); ++s)
    harmonics.analyse(1, divided(fields.scalars[s], deviations[winds + s]), all.subspan((2 * winds + s) * size, size));
  return result;
}

/// Second moments by wavenumber of [parameters, balanced psi].
std::vector<Matrix> moments_of(const AtmosphereLayout& layout, const StatisticalFields& fields,
                               const HarmonicSynthesis& harmonics, const std::vector<Vector>& deviations,
                               const std::vector<Vector>& samples, double variance_factor) {
  const std::size_t winds = fields.winds.size(), parameters = fields.parameters(), size = harmonics.coefficients();
  const std::size_t rows = parameters + winds, waves = static_cast<std::size_t>(harmonics.truncation() + 1);
  std::vector<Vector> coefficients(samples.size());
#pragma omp parallel for schedule(dynamic)
  for (std::size_t s = 0; s < samples.size(); ++s) {
    coefficients[s] = coefficients_of(layout, fields, harmonics, deviations, samples[s]);
    coefficients[s].resize(rows * size);
    const View all(coefficients[s]);
    for (std::size_t k = 0; k < winds; ++k)
      harmonics.balance(all.subspan(k * size, size), all.subspan((parameters + k) * size, size));
  }
  std::vector<Matrix> result(waves);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t n = 0; n < waves; ++n) {
    Matrix moments = Matrix::Zero(index(rows), index(rows));
    for (const Vector& sample : coefficients) {
      const Eigen::Map<const Matrix> all(sample.data(), index(rows), index(size));
      const auto wave = all.middleCols(index(n * n), index(2 * n + 1));
      moments.noalias() += wave * wave.transpose();
    }
    result[n] = moments * (variance_factor / static_cast<double>((samples.size() - 1) * (2 * n + 1)));
  }
  return result;
}

/// Off the diagonal by size / (size + degrees of freedom) towards nothing.
void shrink(Matrix& matrix, double degrees_of_freedom) {
  const double kept = degrees_of_freedom / (degrees_of_freedom + static_cast<double>(matrix.rows()));
  const Eigen::VectorXd diagonal = matrix.diagonal();
  matrix *= kept;
  matrix.diagonal() = diagonal;
}

}  // namespace

SpectralStatistics calibrate(const AtmosphereLayout& layout, std::span<const Vector> samples,
                             const CalibrationSettings& settings) {
  if (!(settings.variance_factor > 0) || !(settings.latitude_smoothing > 0))
    fail(ErrorKind::usage, "calibration: variance factor {} and smoothing over {} degrees, expected > 0",
         settings.variance_factor, settings.latitude_smoothing);
  const StatisticalFields fields(layout);
  const HarmonicSynthesis harmonics(
      layout.grid, settings.truncation > 0 ? settings.truncation : HarmonicSynthesis::resolved(layout.grid));
  const std::vector<Vector> anomalies = centred(layout, samples);
  const auto winds = index(fields.winds.size()), parameters = index(fields.parameters()),
             dependents = index(fields.dependents());
  const std::size_t waves = static_cast<std::size_t>(harmonics.truncation() + 1);

  SpectralStatistics result;
  result.truncation = harmonics.truncation();
  result.samples = samples.size();
  result.deviations = standard_deviations(layout, fields, anomalies, settings);
  const std::vector<Matrix> moments =
      moments_of(layout, fields, harmonics, result.deviations, anomalies, settings.variance_factor);
  result.covariances.resize(fields.groups.size());
  for (std::size_t n = 0; n < waves; ++n) {
    const double freedom = static_cast<double>((samples.size() - 1) * (2 * n + 1));
    Matrix regression = Matrix::Zero(dependents, winds);
    if (settings.balance && winds > 0 && n > 0) {
      Matrix predictors = moments[n].bottomRightCorner(winds, winds);
      shrink(predictors, freedom);
      predictors.diagonal() *= 1 + static_cast<double>(winds) / freedom;
      if (predictors.diagonal().minCoeff() > 0)
        regression = predictors.llt().solve(moments[n].block(parameters, winds, winds, dependents)).transpose();
    }
    // Moments of x - M b: the dependents follow psi among the parameters.
    Matrix without = moments[n].topLeftCorner(parameters, parameters);
    const Matrix crossed = regression * moments[n].block(parameters, winds, winds, dependents);
    without.bottomRightCorner(dependents, dependents) +=
        regression * moments[n].bottomRightCorner(winds, winds) * regression.transpose() - crossed -
        crossed.transpose();
    for (std::size_t g = 0; g < fields.groups.size(); ++g) {
      const auto [first, size] = fields.groups[g];
      Matrix block = without.block(index(first), index(first), index(size), index(size));
      shrink(block, freedom);
      result.covariances[g].push_back(numbers(block));
    }
    result.regressions.push_back(numbers(regression));
  }

  // The variance beyond the truncation goes to the waves that are kept.
  for (std::size_t f = 0; f < result.deviations.size(); ++f) {
    const bool wind = f < fields.winds.size();
    double kept = 0;
    for (std::size_t n = 0; n < waves; ++n) {
      const auto at = [&](std::size_t parameter) { return moments[n](index(parameter), index(parameter)); };
      const double count = static_cast<double>(2 * n + 1), wavenumber = static_cast<double>(n);
      kept += wind ? count * wavenumber * (wavenumber + 1) / (2 * constants::earth_radius * constants::earth_radius) *
                         (at(f) + at(fields.winds.size() + f))
                   : count * at(fields.winds.size() + f);
    }
    if (kept > 0) scale(1 / std::sqrt(std::min(kept, 1.0)), result.deviations[f]);
  }
  return result;
}

}  // namespace zonda::assimilation
