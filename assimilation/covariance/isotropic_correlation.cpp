#include "assimilation/covariance/isotropic_correlation.hpp"

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

/// The square roots of the spectrum [n] with sum (2 n + 1) spectrum = 1, cut where all but `lost` is there.
/// C_n = 1/2 int c(theta) P_n(cos theta) d(cos theta), by Gauss' rule.
Vector spectral_deviations(const Grid& grid, const std::function<double(double)>& correlation, double lost) {
  const auto representable = static_cast<std::size_t>(std::max(1, HarmonicSynthesis::representable(grid)));
  const std::size_t nodes_count = std::max<std::size_t>(512, 8 * representable);
  Vector cosines, weights, spectrum(4 * representable + 1);
  gauss_legendre(nodes_count, cosines, weights);
  for (std::size_t j = 0; j < nodes_count; ++j) {
    const double value = weights[j] / 2 * correlation(constants::earth_radius * std::acos(cosines[j]));
    double before = 0, here = 1;
    for (std::size_t n = 0; n < spectrum.size(); ++n) {
      spectrum[n] += value * here;
      const double m = static_cast<double>(n), next = ((2 * m + 1) * cosines[j] * here - m * before) / (m + 1);
      before = here;
      here = next;
    }
  }
  double total = 0, kept = 0;
  for (std::size_t n = 0; n < spectrum.size(); ++n) {
    spectrum[n] = std::max(0.0, spectrum[n]);
    total += static_cast<double>(2 * n + 1) * spectrum[n];
  }
  std::size_t waves = 0;
  while (waves < spectrum.size() && kept < (1 - lost) * total) {
    kept += static_cast<double>(2 * waves + 1) * spectrum[waves];
    ++waves;
  }
  if (waves > representable + 1)
    fail(ErrorKind::usage, "the grid {} represents wavenumbers up to {}, but the correlation needs {}",
         grid.to_string(), representable, waves - 1);
  Vector result(std::max<std::size_t>(2, waves));
  for (std::size_t n = 0; n < waves; ++n) result[n] = std::sqrt(spectrum[n] / kept);
  return result;
}

}  // namespace

IsotropicCorrelation::IsotropicCorrelation(const Grid& grid, const std::function<double(double)>& correlation,
                                           double lost)
    : deviations_(spectral_deviations(grid, correlation, lost)),
      harmonics_(grid, static_cast<int>(deviations_.size()) - 1) {}

void IsotropicCorrelation::weigh(std::size_t fields, View coefficients) const {
  for (std::size_t f = 0; f < fields; ++f)
    for (std::size_t n = 0; n < deviations_.size(); ++n)
      scale(deviations_[n], coefficients.subspan(f * control_size() + n * n, 2 * n + 1));
}

void IsotropicCorrelation::square_roots(std::size_t fields, ConstView controls, View y) const {
  require_size("the control vector", controls.size(), fields * control_size());
  require_size("the fields", y.size(), fields * size());
  Vector coefficients(controls.begin(), controls.end());
  weigh(fields, coefficients);
  harmonics_.scalar(fields, coefficients, y);
}

void IsotropicCorrelation::square_root_adjoints(std::size_t fields, ConstView x, View controls) const {
  require_size("the control vector", controls.size(), fields * control_size());
  require_size("the fields", x.size(), fields * size());
  harmonics_.scalar_adjoint(fields, x, controls);
  weigh(fields, controls);
}

}  // namespace zonda::assimilation
