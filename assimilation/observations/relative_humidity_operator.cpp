#include "assimilation/observations/column_operators.hpp"
#include "core/humidity.hpp"

namespace zonda::assimilation {
namespace {

class RelativeHumidity final : public FieldsOperator {
 public:
  RelativeHumidity(const LaidField* t, const LaidField* q, const LaidField* surface)
      : FieldsOperator(surface == nullptr ? std::vector{t, q} : std::vector{t, q, surface}) {}
  bool covers(const ObservedPoint& point) const override {
    return within_levels(*fields()[0], point.pressure) && within_levels(*fields()[1], point.pressure);
  }
  double read(Column& column, const ObservedPoint& point) const override {
    const double p = point.pressure;
    const double t = level_value(column, 0, p, 2), q = level_value(column, 1, p, 2);
    const double saturation = saturation_vapour_pressure(t), below = vapour_ratio + (1 - vapour_ratio) * q;
    const double r = 100 * vapour_pressure(q, p) / saturation;
    read_level(column, 0, p, 2, -r * saturation_log_slope(t));
    read_level(column, 1, p, 2, 100 * p * vapour_ratio / (below * below) / saturation);
    return r;
  }
};

}  // namespace

std::unique_ptr<ColumnOperator> relative_humidity_operator(std::string_view, const AtmosphereLayout& layout) {
  const LaidField *t = layout.find("t"), *q = layout.find("q");
  if (t == nullptr || q == nullptr || !t->upper_air() || !q->upper_air()) return nullptr;
  const bool follows = t->follows_surface() || q->follows_surface();
  return std::make_unique<RelativeHumidity>(t, q, follows ? surface_pressure_field(layout) : nullptr);
}

}  // namespace zonda::assimilation
