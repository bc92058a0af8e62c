#include <cmath>

#include "assimilation/observations/column_operators.hpp"
#include "core/constants.hpp"
#include "core/humidity.hpp"

namespace zonda::assimilation {
namespace {

bool is_layer(const LaidField& field, const ObservedPoint& point) {
  return point.upper_pressure < point.pressure && within_levels(field, point.pressure) &&
         within_levels(field, point.upper_pressure);
}

class GeopotentialDifference final : public FieldsOperator {
 public:
  GeopotentialDifference(const LaidField* z, const LaidField* surface)
      : FieldsOperator(z->follows_surface() ? std::vector{z, surface} : std::vector{z}) {}
  bool covers(const ObservedPoint& point) const override { return is_layer(*fields()[0], point); }
  double read(Column& column, const ObservedPoint& point) const override {
    return read_level(column, 0, point.upper_pressure, 1, 1) - read_level(column, 0, point.pressure, 1, -1);
  }
};

/// R times the integral of T (1 + (Rv / R - 1) q) over ln p, which is linear between levels.
class HydrostaticThickness final : public ColumnOperator {
 public:
  HydrostaticThickness(const LaidField* t, const LaidField* q, const LaidField* surface)
      : fields_{t}, moist_(q != nullptr) {
    if (moist_) fields_.push_back(q);
    surface_ = fields_.size();
    if (surface != nullptr) fields_.push_back(surface);
  }
  const std::vector<const LaidField*>& fields() const override { return fields_; }
  bool covers(const ObservedPoint& point) const override { return is_layer(*fields_[0], point); }

  double read(Column& column, const ObservedPoint& point) const override {
    const LaidField& levels = column.field(0);
    const bool follows = levels.follows_surface();
    const auto ps = follows ? surface_pressure(column, surface_) : SurfacePressureValue{0, 0};
    std::vector<Node> nodes{end(column, point.upper_pressure)};
    for (std::size_t k = 0; k < levels.a.size(); ++k) {
      const double p = level_pressure(levels, k, ps.pressure);
      if (p <= point.upper_pressure || p >= point.pressure) continue;
      nodes.push_back({std::log(p), virtual_temperature(column, k), k, false, levels.b[k] / p});
    }
    nodes.push_back(end(column, point.pressure));
    constexpr double r = constants::gas_constant_dry_air;
    double sum = 0;
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      const Node* above = n > 0 ? &nodes[n - 1] : nullptr;
      const Node* below = n + 1 < nodes.size() ? &nodes[n + 1] : nullptr;
      const double depth = (below != nullptr ? below->log_pressure : nodes[n].log_pressure) -
                           (above != nullptr ? above->log_pressure : nodes[n].log_pressure);
      sum += r * 0.5 * depth * nodes[n].value;
      add_gradient(column, nodes[n], n == 0 ? point.upper_pressure : point.pressure, r * 0.5 * depth);
      if (follows && !nodes[n].is_end)
        column.gradient(surface_)[0] += r * 0.5 * (above->value - below->value) * nodes[n].log_slope * ps.slope;
    }
    return sum;
  }

 private:
  struct Node {
    double log_pressure, value;
    std::size_t level;
    bool is_end;
    double log_slope;  ///< d ln p / d ps
  };
  static constexpr double moisture = 1 / vapour_ratio - 1;

  double virtual_temperature(const Column& column, std::size_t k) const {
    return column.values(0)[k] * (1 + (moist_ ? moisture * column.values(1)[k] : 0));
  }
  Node end(const Column& column, double pressure) const {
    const double t = level_value(column, 0, pressure, surface_);
    const double q = moist_ ? level_value(column, 1, pressure, surface_) : 0;
    return {std::log(pressure), t * (1 + moisture * q), 0, true, 0};
  }
  void add_gradient(Column& column, const Node& node, double pressure, double factor) const {
    if (node.is_end) {
      const double t = level_value(column, 0, pressure, surface_);
      const double q = moist_ ? level_value(column, 1, pressure, surface_) : 0;
      read_level(column, 0, pressure, surface_, factor * (1 + moisture * q));
      if (moist_) read_level(column, 1, pressure, surface_, factor * moisture * t);
      return;
    }
    const double t = column.values(0)[node.level], q = moist_ ? column.values(1)[node.level] : 0;
    column.gradient(0)[node.level] += factor * (1 + moisture * q);
    if (moist_) column.gradient(1)[node.level] += factor * moisture * t;
  }

  std::vector<const LaidField*> fields_;
  std::size_t surface_ = 0;
  bool moist_;
};

}  // namespace

std::unique_ptr<ColumnOperator> thickness_operator(std::string_view, const AtmosphereLayout& layout) {
  const LaidField* surface = surface_pressure_field(layout);
  if (const LaidField* z = layout.find("z"); z != nullptr && z->upper_air())
    return std::make_unique<GeopotentialDifference>(z, surface);
  const LaidField *t = layout.find("t"), *q = layout.find("q");
  if (t == nullptr || !t->upper_air()) return nullptr;
  const bool same_levels = q != nullptr && q->a == t->a && q->b == t->b;
  return std::make_unique<HydrostaticThickness>(t, same_levels ? q : nullptr, t->follows_surface() ? surface : nullptr);
}

}  // namespace zonda::assimilation
