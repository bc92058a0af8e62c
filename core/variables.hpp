#pragma once
// The variable table: every name, unit and range of Zonda is defined here, once.
#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zonda {

enum class LevelKind { surface, height, mean_sea, pressure, top, single };

struct Variable {
  std::string short_name;                           ///< ECMWF short name: z, t, u, v, q, sp, 2t -> "2t"
  std::string standard_name;                        ///< CF standard name
  std::string long_name;                            ///< for titles
  std::string unit;                                 ///< SI, udunits-readable
  int grib_discipline, grib_category, grib_number;  ///< GRIB2 triplet
  LevelKind level_kind;                             ///< pressure: the variable has one field per pressure level
  double height_m;                                  ///< height above ground for LevelKind::height (2, 10, 100), else 0
  bool accumulated;                                 ///< over a period (precipitation), else instantaneous
  bool is_static;                                   ///< does not depend on time (orography, land-sea mask)
  double valid_min, valid_max;                      ///< physical range; outside it is an error
  std::vector<std::string> aliases;                 ///< other names met in files: "geopotential", "Z", "10u", "U10M"
  std::string vector_partner;  ///< u <-> v: winds are regridded and scored as vectors; "" for scalars
};

/// All variables, in a fixed order.
std::span<const Variable> variable_table();
/// By short name or alias; nullptr if unknown.
const Variable* find_variable(std::string_view name);
/// By short name or alias. Throws Error(usage) naming the nearest one.
const Variable& variable(std::string_view name);
/// By CF standard name and unit-less level kind; nullptr if unknown. Where several share it (2t and t), `level_kind`
/// decides.
const Variable* find_by_standard_name(std::string_view standard_name, LevelKind level_kind);
/// By GRIB2 triplet; `level_kind` and `height_m` decide between e.g. t and 2t.
const Variable* find_by_grib(int discipline, int category, int number, LevelKind level_kind, double height_m = 0);

/// One field of a state: a variable on one level. Named `z500` for pressure levels, `2t` otherwise.
struct Channel {
  std::string variable;  ///< short name
  int level_hpa = 0;     ///< 0 for variables without levels
  std::string name() const;
  const Variable& info() const { return zonda::variable(variable); }
  friend auto operator<=>(const Channel&, const Channel&) = default;
};
/// `z500` -> {z, 500}; `2t` -> {2t, 0}. Throws Error(usage) naming the nearest variable.
Channel parse_channel(std::string_view name);
/// The index of `channel` in `channels`, if there.
std::optional<std::size_t> find_channel(std::span<const Channel> channels, const Channel& channel);

}  // namespace zonda
