#include "assimilation/diagnostics/energy_norm.hpp"

#include <cmath>

#include "core/constants.hpp"

namespace zonda::assimilation {
namespace {

constexpr double reference_temperature = 270, reference_pressure = 1000e2;

/// Of the mass of the column, [level].
Vector layer_shares(const LaidField& field) {
  const std::size_t n = field.offset.size();
  Vector pressure, shares;
  for (std::size_t k = 0; k < n; ++k) pressure.push_back(field.a[k] + field.b[k] * reference_pressure);
  for (std::size_t k = 0; k < n; ++k) {
    const double above = k == 0 ? 0 : (pressure[k - 1] + pressure[k]) / 2,
                 below = k + 1 == n ? reference_pressure : (pressure[k] + pressure[k + 1]) / 2;
    shares.push_back((below - above) / reference_pressure);
  }
  return shares;
}

/// Of one square, J/kg; 0 for what does not count.
double energy_of(const std::string& variable) {
  if (variable == "u" || variable == "v") return 1;
  if (variable == "t") return constants::heat_capacity_dry_air / reference_temperature;
  if (variable == "sp")
    return constants::gas_constant_dry_air * reference_temperature / (reference_pressure * reference_pressure);
  return 0;
}

}  // namespace

Vector energy_weights(const AtmosphereLayout& layout) {
  Vector weights(layout.state_size());
  const std::size_t points = layout.grid.size(), present = (layout.slots - 1) * layout.slot_size;
  double area = 0;
  for (std::size_t i = 0; i < points; ++i) area += layout.grid.row_weights()[i / layout.grid.nlon()];
  for (const LaidField& field : layout.fields) {
    const double energy = energy_of(field.variable);
    if (energy == 0) continue;
    const Vector shares = field.upper_air() ? layer_shares(field) : Vector{1};
    for (std::size_t k = 0; k < field.offset.size(); ++k)
      for (std::size_t i = 0; i < points; ++i)
        weights[present + field.offset[k] + i] =
            energy * shares[k] * layout.grid.row_weights()[i / layout.grid.nlon()] / area;
  }
  return weights;
}

}  // namespace zonda::assimilation
