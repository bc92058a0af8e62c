#pragma once
// Units of files into units of the variable table.
#include <string_view>

namespace zonda::ingest {

/// `value_in_target = value * factor + offset`.
struct UnitConversion {
  double factor = 1, offset = 0;
  bool identity() const { return factor == 1 && offset == 0; }
  double operator()(double value) const { return value * factor + offset; }
  friend bool operator==(const UnitConversion&, const UnitConversion&) = default;
};

/// By UDUNITS-2, with what meteorologists write beyond it: geopotential metres (`gpm`, `m`) to m2 s-2 by standard
/// gravity, water mass per area (kg m-2) to depth (m) by 1000 kg m-3, `(0 - 1)` and the like as a pure number. Thread
/// safe. Throws Error(data): `unit 'K m' cannot be converted to 'K'`.
UnitConversion unit_conversion(std::string_view from, std::string_view to);

/// Whether `unit` measures pressure.
bool is_pressure_unit(std::string_view unit);

}  // namespace zonda::ingest
