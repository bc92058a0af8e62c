#pragma once
// Where the fields of an atmosphere are in a state vector.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "assimilation/interfaces/vectors.hpp"
#include "core/grid.hpp"
#include "core/variables.hpp"

namespace zonda::assimilation {

/// One variable: a field [lat, lon] at each offset, from the top down. Level k is at p = a[k] + b[k] ps: fixed
/// pressures have b = 0, sigma levels a = 0. Fields at the surface have one offset and no a, b.
struct LaidField {
  std::string variable;
  std::vector<std::size_t> offset;
  Vector a, b;
  bool upper_air() const { return !a.empty(); }
  bool follows_surface() const;
};

/// A state is [time slot][...], each slot of `slot_size` numbers laid out alike.
struct AtmosphereLayout {
  Grid grid;
  std::size_t slot_size = 0;
  std::vector<LaidField> fields;
  Vector orography;  ///< [lat, lon], m above sea level; empty: 0 everywhere
  std::size_t slots = 1;

  std::size_t state_size() const { return slot_size * slots; }
  const LaidField* find(std::string_view variable) const;
  bool has(std::string_view variable) const { return find(variable) != nullptr; }
  /// Throws Error(usage) where a field does not fit into a slot, levels do not descend, a field that follows the
  /// surface has no surface pressure (`sp` or `lnsp`), or the orography is not of the grid.
  void check() const;
};

/// A forecast state [channel, lat, lon] of channels such as z500, 2t: levels of a variable are sorted by pressure.
AtmosphereLayout channel_layout(const Grid& grid, std::span<const Channel> channels, Vector orography = {});
/// Fields on sigma levels: each variable of `upper_air` on every level, one after another, then those of `surface`,
/// which hold `sp` (Pa) or `lnsp` (ln Pa). `sigma`: [levels], ascending.
AtmosphereLayout sigma_layout(const Grid& grid, std::span<const std::string> upper_air, ConstView sigma,
                              std::span<const std::string> surface, Vector orography = {});

/// What lies on one level at p = a + b ps: offsets in a slot, of all fields.
struct SharedLevel {
  double a, b;
  std::vector<std::size_t> offsets;
  double pressure(double at_surface) const { return a + b * at_surface; }
};
/// From the top down. Levels of different fields are one where their pressures agree to 1e-6; fields at the surface are
/// with the lowest level, or on one of their own at 1000 hPa where there is none.
std::vector<SharedLevel> shared_levels(const AtmosphereLayout& layout);

/// Where localisation places the ground at a height in m: 1000 hPa at sea level, and as the standard atmosphere's
/// falls.
double surface_pressure_by_height(double height);

}  // namespace zonda::assimilation
