#pragma once
// The operators, one file each. Each factory returns null where the state lacks what the operator reads.
#include "assimilation/observations/column_operator.hpp"
#include "assimilation/observations/level_interpolation.hpp"

namespace zonda::assimilation {

/// The reduction of temperature with height that height corrections assume, K/m (ICAO standard atmosphere).
inline constexpr double standard_lapse_rate = 0.0065;

/// A variable on levels, linear in ln p.
std::unique_ptr<ColumnOperator> level_operator(std::string_view variable, const AtmosphereLayout& layout);
/// A field at the surface as it is.
std::unique_ptr<ColumnOperator> surface_operator(std::string_view variable, const AtmosphereLayout& layout);
/// Relative humidity over water (%), of temperature and specific humidity on the same levels.
std::unique_ptr<ColumnOperator> relative_humidity_operator(std::string_view variable, const AtmosphereLayout& layout);
/// Pressure at the station's height: hydrostatic with the standard lapse rate from the model's surface pressure, or, on
/// pressure levels, ln p linear in geopotential.
std::unique_ptr<ColumnOperator> surface_pressure_operator(std::string_view variable, const AtmosphereLayout& layout);
/// 2 m temperature, corrected to the station's height with the standard lapse rate; without a field of its own that of
/// the lowest level, brought to the ground.
std::unique_ptr<ColumnOperator> near_surface_temperature_operator(std::string_view variable,
                                                                  const AtmosphereLayout& layout);
/// 2 m dew point from the lowest level's specific humidity and the surface pressure.
std::unique_ptr<ColumnOperator> near_surface_dew_point_operator(std::string_view variable,
                                                                const AtmosphereLayout& layout);
/// 10 m wind from the lowest level by the neutral logarithmic profile.
std::unique_ptr<ColumnOperator> near_surface_wind_operator(std::string_view variable, const AtmosphereLayout& layout);
/// Geopotential of the layer between `pressure` and `upper_pressure`, m2 s-2: the difference of the field z, or the
/// hydrostatic integral of the virtual temperature.
std::unique_ptr<ColumnOperator> thickness_operator(std::string_view variable, const AtmosphereLayout& layout);

/// An operator that reads these fields.
class FieldsOperator : public ColumnOperator {
 public:
  explicit FieldsOperator(std::vector<const LaidField*> fields) : fields_(std::move(fields)) {}
  const std::vector<const LaidField*>& fields() const override { return fields_; }

 private:
  std::vector<const LaidField*> fields_;
};

/// The temperature that the lowest level has when it is brought to the ground: T (ps / p)^(R lapse rate / g), fields
/// `temperature` and `surface` of the column; adds `factor` times its derivative.
double ground_temperature(Column& column, std::size_t temperature, std::size_t surface, double factor);

}  // namespace zonda::assimilation
