#pragma once
// Interpolation in ln p, with what it depends on: values of levels and, on sigma levels, the surface pressure.
#include "assimilation/observations/column_operator.hpp"

namespace zonda::assimilation {

/// The surface pressure of a column, Pa, from its field `sp` or `lnsp`; 0 slope where there is none (fixed levels).
struct SurfacePressureValue {
  double pressure, slope;  ///< slope: d pressure / d field value
};
SurfacePressureValue surface_pressure(const Column& column, std::size_t field);
/// The layout's `sp` or `lnsp`, null where it has none.
const LaidField* surface_pressure_field(const AtmosphereLayout& layout);

/// Pressure of level k and its derivative by the surface pressure.
double level_pressure(const LaidField& field, std::size_t k, double surface);

/// value = x[k] + w (x[k + 1] - x[k]); beyond the ends the last value.
struct LevelInterpolation {
  std::size_t upper, lower;
  double weight;        ///< of the lower level
  double weight_slope;  ///< d weight / d surface pressure
};
LevelInterpolation interpolate_levels(const LaidField& field, double pressure, double surface);

/// Whether `pressure` lies within the levels (fixed ones, or sigma levels below any surface pressure up to 1050 hPa).
bool within_levels(const LaidField& field, double pressure);

/// Interpolates field `i` of the column; adds `factor` times the derivative to its gradient and that of the surface
/// pressure's field (`surface_field`, where levels follow it).
double read_level(Column& column, std::size_t i, double pressure, std::size_t surface_field, double factor);
/// The same without a gradient.
double level_value(const Column& column, std::size_t i, double pressure, std::size_t surface_field);

}  // namespace zonda::assimilation
