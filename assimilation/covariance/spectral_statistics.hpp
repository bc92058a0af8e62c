#pragma once
// What a spectral covariance knows of an atmosphere: learned from samples, kept in a file.
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "assimilation/interfaces/vectors.hpp"
#include "assimilation/observations/atmosphere_layout.hpp"

namespace zonda::assimilation {

/// The fields of a slot in the order of the statistics. Winds are pairs of offsets, levels from the top down (10 m
/// last); scalars follow, those that hang together (mass: t, z, surface pressure, msl, 2t) first.
struct StatisticalFields {
  struct Wind {
    std::size_t u, v;
  };
  std::vector<Wind> winds;
  std::vector<std::size_t> scalars;  ///< offsets
  /// Ranges of parameters [psi of winds, chi of winds, scalars] that are correlated with each other once balanced.
  struct Group {
    std::size_t first, size;
  };
  std::vector<Group> groups;

  /// Throws Error(usage) where u and v do not lie on the same levels.
  explicit StatisticalFields(const AtmosphereLayout& layout);
  std::size_t parameters() const { return 2 * winds.size() + scalars.size(); }
  /// chi and the scalars: what has a part that balances psi.
  std::size_t dependents() const { return winds.size() + scalars.size(); }
};

/// Statistics by total wavenumber n <= truncation, of fields divided by their standard deviations.
struct SpectralStatistics {
  int truncation = 0;
  /// [wind level and scalar][lat]: standard deviations; one for both components of a wind.
  std::vector<Vector> deviations;
  /// [n][dependent, wind level]: the balanced part of dependents from HarmonicSynthesis::balance of psi.
  std::vector<Vector> regressions;
  /// [group][n][size, size]: covariances of what is left, of each of the 2 n + 1 coefficients.
  std::vector<std::vector<Vector>> covariances;
  std::size_t samples = 0;  ///< learned from so many; 0: not from samples

  /// Throws Error(failure) where sizes are not those of the fields.
  void check(const AtmosphereLayout& layout) const;
};

struct CalibrationSettings {
  int truncation = 0;  ///< 0: all that the grid resolves
  /// Of the samples' variance: 1 for ensemble anomalies, about 1/2 for differences of two forecasts for one time.
  double variance_factor = 1;
  bool balance = true;             ///< regress chi and the scalars on what balances psi
  double latitude_smoothing = 10;  ///< degrees, of the standard deviations; infinity: none by latitude
};

/// From samples of one error each: differences of forecasts valid at one time (Parrish & Derber 1992) or ensemble
/// anomalies; states of one slot, or of all slots, of which the last counts. About their mean. Correlations of few
/// samples are shrunk towards none. Throws Error(usage) for fewer than 3 samples.
SpectralStatistics calibrate(const AtmosphereLayout& layout, std::span<const Vector> samples,
                             const CalibrationSettings& settings = {});

/// One file: a line of JSON (grid, fields, levels, truncation, `identity` of the model, checksum), then numbers.
/// Atomic.
void write_statistics(const std::filesystem::path& path, const SpectralStatistics& statistics,
                      const AtmosphereLayout& layout, const std::string& identity);
/// Throws Error(data) in one line where the file is damaged, or of another grid, other fields or another model.
SpectralStatistics read_statistics(const std::filesystem::path& path, const AtmosphereLayout& layout,
                                   const std::string& identity);

}  // namespace zonda::assimilation
