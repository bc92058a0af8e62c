#include "assimilation/observations/level_interpolation.hpp"

#include <cmath>

namespace zonda::assimilation {

const LaidField* surface_pressure_field(const AtmosphereLayout& layout) {
  const LaidField* field = layout.find("sp");
  return field != nullptr ? field : layout.find("lnsp");
}

SurfacePressureValue surface_pressure(const Column& column, std::size_t field) {
  const double value = column.values(field)[0];
  if (column.field(field).variable == "sp") return {value, 1};
  const double pressure = std::exp(value);
  return {pressure, pressure};
}

double level_pressure(const LaidField& field, std::size_t k, double surface) {
  return field.a[k] + field.b[k] * surface;
}

LevelInterpolation interpolate_levels(const LaidField& field, double pressure, double surface) {
  const std::size_t n = field.a.size();
  std::size_t lower = 0;
  while (lower < n && level_pressure(field, lower, surface) < pressure) ++lower;
  if (lower == 0) return {0, 0, 0, 0};
  if (lower == n) return {n - 1, n - 1, 0, 0};
  const std::size_t upper = lower - 1;
  const double p0 = level_pressure(field, upper, surface), p1 = level_pressure(field, lower, surface);
  const double depth = std::log(p1 / p0), w = std::log(pressure / p0) / depth;
  const double slope0 = field.b[upper] / p0, slope1 = field.b[lower] / p1;
  return {upper, lower, w, (-slope0 - w * (slope1 - slope0)) / depth};
}

bool within_levels(const LaidField& field, double pressure) {
  constexpr double highest_surface = 1.05e5;
  const bool sigma = field.follows_surface();
  const double top = level_pressure(field, 0, sigma ? 0.5e5 : 0);
  const double bottom = sigma ? highest_surface : level_pressure(field, field.a.size() - 1, 0);
  return pressure >= top * (1 - 1e-9) && pressure <= bottom * (1 + 1e-9);
}

double level_value(const Column& column, std::size_t i, double pressure, std::size_t surface_field) {
  const LaidField& field = column.field(i);
  const double surface = field.follows_surface() ? surface_pressure(column, surface_field).pressure : 0;
  const LevelInterpolation at = interpolate_levels(field, pressure, surface);
  const ConstView x = column.values(i);
  return x[at.upper] + at.weight * (x[at.lower] - x[at.upper]);
}

double read_level(Column& column, std::size_t i, double pressure, std::size_t surface_field, double factor) {
  const LaidField& field = column.field(i);
  const bool follows = field.follows_surface();
  const SurfacePressureValue surface = follows ? surface_pressure(column, surface_field) : SurfacePressureValue{0, 0};
  const LevelInterpolation at = interpolate_levels(field, pressure, surface.pressure);
  const ConstView x = column.values(i);
  const double step = x[at.lower] - x[at.upper];
  column.gradient(i)[at.upper] += factor * (1 - at.weight);
  column.gradient(i)[at.lower] += factor * at.weight;
  if (follows) column.gradient(surface_field)[0] += factor * step * at.weight_slope * surface.slope;
  return x[at.upper] + at.weight * step;
}

}  // namespace zonda::assimilation
