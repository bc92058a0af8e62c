#include "assimilation/observations/column_operators.hpp"

namespace zonda::assimilation {
namespace {

class LevelOperator final : public FieldsOperator {
 public:
  LevelOperator(const LaidField* field, const LaidField* surface)
      : FieldsOperator(field->follows_surface() ? std::vector{field, surface} : std::vector{field}) {}
  bool covers(const ObservedPoint& point) const override { return within_levels(*fields()[0], point.pressure); }
  double read(Column& column, const ObservedPoint& point) const override {
    return read_level(column, 0, point.pressure, 1, 1);
  }
};

class SurfaceOperator final : public FieldsOperator {
 public:
  using FieldsOperator::FieldsOperator;
  bool covers(const ObservedPoint&) const override { return true; }
  double read(Column& column, const ObservedPoint&) const override {
    column.gradient(0)[0] += 1;
    return column.values(0)[0];
  }
};

}  // namespace

std::unique_ptr<ColumnOperator> level_operator(std::string_view variable, const AtmosphereLayout& layout) {
  const LaidField* field = layout.find(variable);
  if (field == nullptr || !field->upper_air()) return nullptr;
  return std::make_unique<LevelOperator>(field, surface_pressure_field(layout));
}

std::unique_ptr<ColumnOperator> surface_operator(std::string_view variable, const AtmosphereLayout& layout) {
  const LaidField* field = layout.find(variable);
  if (field == nullptr || field->upper_air()) return nullptr;
  return std::make_unique<SurfaceOperator>(std::vector{field});
}

}  // namespace zonda::assimilation
