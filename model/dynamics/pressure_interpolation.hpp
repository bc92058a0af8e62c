#pragma once
// From sigma levels to pressure levels in one column. Linear in ln p between levels; below the ground the extrapolation
// of ECMWF's IFS (IFS documentation part VI, "Technical and computational procedures"; Yessad, "Full-Pos in the IFS").
#include <span>
#include <vector>

#include "model/dynamics/sigma_levels.hpp"

namespace zonda::model {

class PressureColumn {
 public:
  explicit PressureColumn(const SigmaLevels& levels);
  /// The column: temperature (K) and specific humidity (empty: dry) on the sigma levels, surface pressure (Pa) and
  /// geopotential (m2 s-2).
  void set(std::span<const double> temperature, std::span<const double> humidity, double surface_pressure,
           double surface_geopotential);

  double temperature(double pressure) const;   ///< K
  double geopotential(double pressure) const;  ///< m2 s-2
  /// Of any other field on the sigma levels; constant above the uppermost and below the lowest.
  double value(std::span<const double> field, double pressure) const;
  /// Temperature that the lowest level and a lapse rate of 6.5 K/km give at the ground, K.
  double surface_temperature() const { return surface_temperature_; }
  double mean_sea_level_pressure() const;  ///< Pa

 private:
  double lapse_below_ground() const;
  const SigmaLevels& levels_;
  std::vector<double> log_pressure_, temperature_, virtual_, geopotential_;
  double surface_log_pressure_ = 0, surface_geopotential_ = 0, surface_temperature_ = 0;
};

}  // namespace zonda::model
