#pragma once
// What one observation reads in the column above it. A new type of observation is one class derived from ColumnOperator
// and one line in the table of column_operators.cpp; the generic suite then checks its gradient.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "assimilation/observations/atmosphere_layout.hpp"

namespace zonda::assimilation {

/// Where an observation is. Pressures in Pa, heights in m above sea level; NaN where they say nothing.
struct ObservedPoint {
  double latitude, longitude;
  double pressure;
  double height;
  double upper_pressure;    ///< the upper end of a layer (thickness)
  double slot = 0;          ///< time, in slots of the state: 0.5 is half way between the first two
  double model_height = 0;  ///< the model's ground there; filled in by AtmosphereOperator
};

/// The fields that an operator asked for, interpolated to the observation; `gradient` of the same shape collects the
/// derivative of what is read.
class Column {
 public:
  Column(const std::vector<const LaidField*>& fields, View values, View gradient);
  /// [levels], or one value at the surface
  ConstView values(std::size_t field) const { return values_.subspan(begin_[field], length(field)); }
  View gradient(std::size_t field) { return gradient_.subspan(begin_[field], length(field)); }
  const LaidField& field(std::size_t i) const { return *fields_[i]; }

 private:
  std::size_t length(std::size_t field) const { return begin_[field + 1] - begin_[field]; }
  const std::vector<const LaidField*>& fields_;
  View values_, gradient_;
  std::vector<std::size_t> begin_;
};

class ColumnOperator {
 public:
  virtual ~ColumnOperator() = default;
  /// The fields that it reads.
  virtual const std::vector<const LaidField*>& fields() const = 0;
  /// Whether it can read at this point: within the levels, with a height where it needs one.
  virtual bool covers(const ObservedPoint& point) const = 0;
  /// The observation's equivalent, SI; its derivative by the column's values is added to column.gradient(), which is
  /// zero before.
  virtual double read(Column& column, const ObservedPoint& point) const = 0;
};

/// For a variable's short name, or `thickness`, from what the layout holds. Throws Error(usage) naming what is known,
/// or which fields the state lacks. The layout must outlive the operator.
std::unique_ptr<ColumnOperator> make_column_operator(std::string_view variable, const AtmosphereLayout& layout);
/// Whether make_column_operator has one.
bool can_observe(std::string_view variable, const AtmosphereLayout& layout);

}  // namespace zonda::assimilation
