// 2 m temperature and dew point, 10 m wind.
#include <algorithm>
#include <cmath>

#include "assimilation/observations/column_operators.hpp"
#include "core/constants.hpp"
#include "core/humidity.hpp"

namespace zonda::assimilation {
namespace {

class NearSurfaceTemperature final : public FieldsOperator {
 public:
  using FieldsOperator::FieldsOperator;
  bool covers(const ObservedPoint&) const override { return true; }
  double read(Column& column, const ObservedPoint& point) const override {
    const double rise = std::isfinite(point.height) ? point.height - point.model_height : 0;
    const double correction = -standard_lapse_rate * rise;
    if (fields().size() == 2) return ground_temperature(column, 0, 1, 1) + correction;
    column.gradient(0)[0] += 1;
    return column.values(0)[0] + correction;
  }
};

class NearSurfaceDewPoint final : public FieldsOperator {
 public:
  using FieldsOperator::FieldsOperator;
  bool covers(const ObservedPoint&) const override { return true; }
  double read(Column& column, const ObservedPoint&) const override {
    const auto ps = surface_pressure(column, 1);
    const std::size_t lowest = column.values(0).size() - 1;
    constexpr double driest = 1e-7;  // kg kg-1; below it the dew point no longer changes
    const double q = std::max(column.values(0)[lowest], driest);
    const double e = vapour_pressure(q, ps.pressure), c = std::log(e / 611.21) / 17.502;
    const double slope = (273.16 - 32.19) / ((1 - c) * (1 - c)) / (17.502 * e);
    const double below = vapour_ratio + (1 - vapour_ratio) * q;
    if (q > driest) column.gradient(0)[lowest] += slope * ps.pressure * vapour_ratio / (below * below);
    column.gradient(1)[0] += slope * q / below * ps.slope;
    return dew_point(e);
  }
};

/// u10 = u ln(10 / z0) / ln(h / z0), h the height of the lowest level.
class NearSurfaceWind final : public FieldsOperator {
 public:
  using FieldsOperator::FieldsOperator;
  bool covers(const ObservedPoint&) const override { return true; }
  double read(Column& column, const ObservedPoint&) const override {
    constexpr double roughness = 0.03;  // m, short grass (WMO-No. 8, part I, chapter 5, annex)
    const auto ps = surface_pressure(column, 2);
    const std::size_t lowest = column.values(0).size() - 1;
    const double u = column.values(0)[lowest], t = column.values(1)[column.values(1).size() - 1];
    const double p = level_pressure(column.field(0), lowest, ps.pressure);
    const double scale = constants::gas_constant_dry_air / constants::gravity;
    const double depth = std::log(ps.pressure / p), height = scale * t * depth;
    const double profile = std::log(height / roughness), factor = std::log(10 / roughness) / profile;
    column.gradient(0)[lowest] += factor;
    const double by_height = -u * factor / profile / height;
    column.gradient(1)[column.values(1).size() - 1] += by_height * scale * depth;
    column.gradient(2)[0] += by_height * scale * t * (1 / ps.pressure - column.field(0).b[lowest] / p) * ps.slope;
    return u * factor;
  }
};

bool on_sigma(const LaidField* field) {
  return field != nullptr && field->upper_air() && field->follows_surface();
}

}  // namespace

std::unique_ptr<ColumnOperator> near_surface_temperature_operator(std::string_view, const AtmosphereLayout& layout) {
  if (const LaidField* own = layout.find("2t")) return std::make_unique<NearSurfaceTemperature>(std::vector{own});
  const LaidField* t = layout.find("t");
  if (!on_sigma(t)) return nullptr;
  return std::make_unique<NearSurfaceTemperature>(std::vector{t, surface_pressure_field(layout)});
}

std::unique_ptr<ColumnOperator> near_surface_dew_point_operator(std::string_view, const AtmosphereLayout& layout) {
  const LaidField* q = layout.find("q");
  if (!on_sigma(q)) return nullptr;
  return std::make_unique<NearSurfaceDewPoint>(std::vector{q, surface_pressure_field(layout)});
}

std::unique_ptr<ColumnOperator> near_surface_wind_operator(std::string_view variable, const AtmosphereLayout& layout) {
  const LaidField *wind = layout.find(variable == "10u" ? "u" : "v"), *t = layout.find("t");
  if (!on_sigma(wind) || !on_sigma(t)) return nullptr;
  return std::make_unique<NearSurfaceWind>(std::vector{wind, t, surface_pressure_field(layout)});
}

}  // namespace zonda::assimilation
