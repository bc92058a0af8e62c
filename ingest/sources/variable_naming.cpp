#include "ingest/sources/variable_naming.hpp"

#include <fmt/format.h>

#include <cmath>

#include "core/error.hpp"
#include "ingest/sources/field_order.hpp"

namespace zonda::ingest {
namespace {

bool fits(const Variable& variable, const VerticalPlace& place) {
  if ((variable.level_kind == LevelKind::pressure) != place.on_pressure_levels) return false;
  if (place.height_m && variable.level_kind == LevelKind::height) {
    return std::abs(variable.height_m - *place.height_m) < 1e-3;
  }
  return true;
}

const Variable* by_standard_name(const std::string& standard_name, const VerticalPlace& place) {
  if (standard_name.empty()) return nullptr;
  for (const Variable& variable : variable_table()) {
    if (variable.standard_name != standard_name || !fits(variable, place)) continue;
    // A field at a height is known by its height only: 2 m and 100 m winds share a standard name.
    if (variable.level_kind == LevelKind::height && !place.height_m) continue;
    if (variable.level_kind != LevelKind::height && place.height_m) continue;
    return &variable;
  }
  return nullptr;
}

std::optional<Channel> channel_in_name(const std::string& name) {
  if (name.size() > 32 || name.empty() || name.back() < '0' || name.back() > '9') return std::nullopt;
  try {
    return parse_channel(name);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

std::string describe(const FieldKey& key) {
  std::string text = key.channel.name() + " of " + to_string(key.valid_time);
  if (key.reference_time) text += ", run of " + to_string(*key.reference_time);
  if (key.member) text += fmt::format(", member {}", *key.member);
  if (key.accumulation.count() != 0) text += ", over " + to_string(key.accumulation);
  return text;
}

const Variable* mapped_variable(const std::string& name, const NameMapping& mapping) {
  const auto found = mapping.variables.find(name);
  return found == mapping.variables.end() ? nullptr : &variable(found->second);
}

NamedVariable name_cf_array(const CfArray& array, const VerticalPlace& place, const NameMapping& mapping) {
  if (const Variable* mapped = mapped_variable(array.name, mapping)) return {mapped, 0, {}};
  const std::string standard_name = array.text("standard_name");
  if (const Variable* found = by_standard_name(standard_name, place)) return {found, 0, {}};
  bool unfit = false;
  for (const std::string& name : {array.name, array.text("GRIB_shortName"), standard_name}) {
    if (name.empty()) continue;
    const Variable* found = find_variable(name);
    if (found == nullptr) continue;
    if (fits(*found, place)) return {found, 0, {}};
    if (found->short_name == "z" && !place.on_pressure_levels && !place.height_m) return {find_variable("orog"), 0, {}};
    unfit = true;
  }
  if (!place.on_pressure_levels) {
    if (const auto channel = channel_in_name(array.name); channel && channel->level_hpa > 0) {
      return {&channel->info(), channel->level_hpa, {}};
    }
  }
  if (unfit) {
    return {nullptr, 0,
            place.on_pressure_levels ? "its variable has no pressure levels, but the array has"
                                     : "its variable lies on pressure levels, but no pressure is given"};
  }
  return {nullptr, 0, "not in the variable table"};
}

}  // namespace zonda::ingest
