#pragma once
// The semi-implicit step: gravity waves averaged over the old and the new time, so that their speed does not limit the
// time step (Robert 1969; Hoskins & Simmons 1975, Quart. J. Roy. Meteor. Soc. 101, 637-655; Simmons, Hoskins & Burridge
// 1978 for the isothermal reference).
#include <vector>

#include "model/dynamics/sigma_levels.hpp"

namespace zonda::model {

/// Temperature of the reference state, K; warmer than the mean atmosphere everywhere, which keeps the scheme stable.
inline constexpr double reference_temperature = 300;

class SemiImplicit {
 public:
  SemiImplicit(const SigmaLevels& levels, int truncation);
  /// Makes the matrices for a step from t - dt to t + dt, dt in seconds. Cheap when dt is the one they were made for.
  void set_time_step(double dt);
  double time_step() const { return dt_; }

  /// `out` [2, levels] = R (alpha T + sum below), real and imaginary part; geopotential of the reference system.
  void geopotential(const double* temperature, double* out) const;
  /// `out` [2, levels] = the temperature tendency of divergence in the reference state, with its sign turned: dT/dt = -
  /// out.
  void compression(const double* divergence, double* out) const;
  /// Sum of divergence over the layers, weighted with their thickness, for part 0 (real) or 1 (imaginary).
  double column(const double* divergence, int part) const;
  /// Changes over 2 dt of one coefficient of degree n. In: `divergence`, `temperature` [2, levels], `log_pressure` [2]
  /// are the right-hand sides; out: the solution. `scratch` [4, levels].
  void solve(int n, double* divergence, double* temperature, double* log_pressure, double* scratch) const;

 private:
  SigmaLevels levels_;
  int truncation_;
  double dt_ = 0;
  std::vector<double> inverse_;  ///< [n][column][row]
};

}  // namespace zonda::model
