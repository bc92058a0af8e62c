#pragma once
// Tangent and adjoint of the dry grid tendencies (dynamics_tendencies and HeldSuarez::relax) in one column.
#include <array>
#include <optional>

#include "model/dynamics/held_suarez.hpp"
#include "model/dynamics/sigma_levels.hpp"

namespace zonda::model {

inline constexpr std::size_t most_levels = 64;
using ColumnLevels = std::array<double, most_levels>;

/// As BlockInput, of one point; also what is added to it, or a sensitivity to it.
struct ColumnInput {
  ColumnLevels u{}, v{}, vorticity{}, divergence{}, temperature{};
  double log_pressure = 0, dp_dlon = 0, dp_dmu = 0;
};
/// As BlockOutput.
struct ColumnOutput {
  ColumnLevels force_u{}, force_v{}, energy{}, heat_u{}, heat_v{}, heating{};
  double log_pressure = 0;
};

class LinearisedTendencies {
 public:
  LinearisedTendencies(const SigmaLevels& levels, const std::optional<HeldSuarez>& forcing);
  /// What depends on the row; `season_sine` as in HeldSuarez::relax.
  void set_row(double sine, double season_sine);
  /// The derivative about `at` along `change`.
  void tangent(const ColumnInput& at, const ColumnInput& change, ColumnOutput& out) const;
  /// Its transpose; `sensitivity` is overwritten.
  void adjoint(const ColumnInput& at, const ColumnOutput& out, ColumnInput& sensitivity) const;

 private:
  struct Level {
    double above, below, thickness, log_ratio, alpha, above_weight, below_weight;
    double log_sigma, sigma_power, relaxation;
  };
  /// What the derivatives need of the state: convergence sums, vertical velocities.
  struct Sums {
    ColumnLevels advection, sum, rise_up, rise_down;
  };
  void sum_up(const ColumnInput& at, Sums& sums) const;
  double lifting(const Level& level, double advection, double above, double here) const;
  /// d heating / d ln ps, and the relaxation rate, of a level.
  double pressure_slope(std::size_t k, const ColumnInput& at) const;

  SigmaLevels levels_;
  std::optional<HeldSuarez> forcing_;
  std::array<Level, most_levels> level_{};
  std::size_t count_;
  double inverse_cosine_squared_ = 1, coriolis_ = 0, surface_value_ = 0, stability_ = 0;
};

}  // namespace zonda::model
