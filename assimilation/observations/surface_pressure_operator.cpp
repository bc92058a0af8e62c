#include <cmath>

#include "assimilation/observations/column_operators.hpp"
#include "core/constants.hpp"

namespace zonda::assimilation {
namespace {

constexpr double lapse_exponent = constants::gas_constant_dry_air * standard_lapse_rate / constants::gravity;

/// p = ps ((T - lapse (z - z_model)) / T)^(g / (R lapse)), T at the ground of the model.
class ReducedPressure final : public FieldsOperator {
 public:
  ReducedPressure(const LaidField* surface, const LaidField* temperature, bool to_sea_level)
      : FieldsOperator({surface, temperature}), to_sea_level_(to_sea_level) {}
  bool covers(const ObservedPoint& point) const override {
    return to_sea_level_ || (point.height > -500 && point.height < 9000);
  }
  double read(Column& column, const ObservedPoint& point) const override {
    const double rise = (to_sea_level_ ? 0 : point.height) - point.model_height;
    const auto surface = surface_pressure(column, 0);
    const double t = temperature(column, 0);
    const double ratio = 1 - standard_lapse_rate * rise / t, factor = std::pow(ratio, 1 / lapse_exponent);
    column.gradient(0)[0] += factor * surface.slope;
    const double ratio_slope = standard_lapse_rate * rise / (t * t);
    temperature(column, surface.pressure * factor / lapse_exponent / ratio * ratio_slope);
    return surface.pressure * factor;
  }

 private:
  double temperature(Column& column, double factor) const {
    if (fields()[1]->upper_air()) return ground_temperature(column, 1, 0, factor);
    column.gradient(1)[0] += factor;
    return column.values(1)[0];
  }
  bool to_sea_level_;
};

/// Where geopotential on pressure levels reaches the height; below the lowest level the lowest layer goes on.
class PressureOfHeight final : public FieldsOperator {
 public:
  PressureOfHeight(const LaidField* geopotential, bool to_sea_level)
      : FieldsOperator({geopotential}), to_sea_level_(to_sea_level) {}
  bool covers(const ObservedPoint& point) const override {
    return to_sea_level_ || (point.height > -500 && point.height < 9000);
  }
  double read(Column& column, const ObservedPoint& point) const override {
    const double wanted = constants::gravity * (to_sea_level_ ? 0 : point.height);
    const ConstView z = column.values(0);
    const LaidField& field = column.field(0);
    std::size_t lower = 1;
    while (lower + 1 < z.size() && z[lower] > wanted) ++lower;
    const double depth = z[lower] - z[lower - 1], w = (wanted - z[lower - 1]) / depth;
    const double thickness = std::log(field.a[lower] / field.a[lower - 1]);
    const double p = field.a[lower - 1] * std::exp(w * thickness);
    column.gradient(0)[lower - 1] += p * thickness * (w - 1) / depth;
    column.gradient(0)[lower] -= p * thickness * w / depth;
    return p;
  }

 private:
  bool to_sea_level_;
};

}  // namespace

double ground_temperature(Column& column, std::size_t temperature, std::size_t surface, double factor) {
  const auto ps = surface_pressure(column, surface);
  const LaidField& field = column.field(temperature);
  const std::size_t lowest = field.a.size() - 1;
  const double p = level_pressure(field, lowest, ps.pressure), t = column.values(temperature)[lowest];
  const double scale = std::pow(ps.pressure / p, lapse_exponent);
  column.gradient(temperature)[lowest] += factor * scale;
  column.gradient(surface)[0] +=
      factor * t * scale * lapse_exponent * (1 / ps.pressure - field.b[lowest] / p) * ps.slope;
  return t * scale;
}

std::unique_ptr<ColumnOperator> surface_pressure_operator(std::string_view variable, const AtmosphereLayout& layout) {
  const bool to_sea_level = variable == "msl";
  const LaidField *surface = surface_pressure_field(layout), *near = layout.find("2t"), *t = layout.find("t");
  if (surface != nullptr && near != nullptr) return std::make_unique<ReducedPressure>(surface, near, to_sea_level);
  if (surface != nullptr && t != nullptr && t->upper_air())
    return std::make_unique<ReducedPressure>(surface, t, to_sea_level);
  const LaidField* z = layout.find("z");
  if (z != nullptr && z->offset.size() > 1 && !z->follows_surface())
    return std::make_unique<PressureOfHeight>(z, to_sea_level);
  return nullptr;
}

}  // namespace zonda::assimilation
