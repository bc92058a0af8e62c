#pragma once
// Which variable of the table an array or message is.
#include <optional>
#include <string>

#include "ingest/sources/cf_dataset.hpp"
#include "ingest/sources/source.hpp"

namespace zonda::ingest {

/// What a file says of the vertical place of a field.
struct VerticalPlace {
  bool on_pressure_levels = false;
  std::optional<double> height_m;
};

struct NamedVariable {
  const Variable* variable = nullptr;  ///< null: unknown
  int level_hpa = 0;                   ///< where the name itself holds it (`z500`)
  std::string reason;                  ///< why it is unknown
};

/// By the user's mapping, the standard name, then the names in the file and the table's aliases; a variable on levels
/// without levels is its surface sibling where there is one (geopotential of the surface).
/// Throws Error(usage) where the mapping names no variable.
NamedVariable name_cf_array(const CfArray& array, const VerticalPlace& place, const NameMapping& mapping);

/// The user's variable for a file's name, if he gave one. Throws Error(usage) where it is none of the table.
const Variable* mapped_variable(const std::string& name, const NameMapping& mapping);

}  // namespace zonda::ingest
