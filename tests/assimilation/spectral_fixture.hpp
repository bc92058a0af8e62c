#pragma once
// Statistics of a small atmosphere that are known beforehand.
#include "assimilation/covariance/spectral_covariance.hpp"
#include "small_atmosphere.hpp"

namespace zonda::assimilation {

/// Spectra that fall with n, correlations that fall with the distance of levels, scalars that follow balanced psi.
inline SpectralStatistics known_statistics(const AtmosphereLayout& layout, int truncation, bool balance = true) {
  const StatisticalFields fields(layout);
  SpectralStatistics result;
  result.truncation = truncation;
  for (std::size_t f = 0; f < fields.dependents(); ++f) {
    result.deviations.emplace_back();
    for (const double latitude : layout.grid.latitudes())
      result.deviations.back().push_back((1 + 0.1 * static_cast<double>(f)) * (1 + std::abs(latitude) / 90));
  }
  constexpr double radius = 6.4e6;
  result.covariances.resize(fields.groups.size());
  for (int n = 0; n <= truncation; ++n) {
    result.regressions.emplace_back(fields.dependents() * fields.winds.size());
    for (std::size_t d = fields.winds.size(); d < fields.dependents(); ++d)
      result.regressions.back()[d * fields.winds.size() + d % fields.winds.size()] =
          balance && n > 0 ? 3.0 / radius : 0;
    for (std::size_t g = 0; g < fields.groups.size(); ++g) {
      const std::size_t size = fields.groups[g].size;
      const double wind = g == 0 ? radius * radius : g == 1 ? 0.1 * radius * radius : 1;
      const double spectrum = n == 0 ? 0.02 : 0.3 * wind / (1 + n * n * n);
      Vector matrix(size * size);
      for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j)
          matrix[i * size + j] = spectrum * std::exp(-0.5 * std::abs(static_cast<double>(i) - static_cast<double>(j)));
      result.covariances[g].push_back(std::move(matrix));
    }
  }
  return result;
}

}  // namespace zonda::assimilation
