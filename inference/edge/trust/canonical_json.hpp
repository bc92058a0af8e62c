#pragma once
// Canonical JSON (OLPC): what is signed. Sorted keys, no white space, only `"` and `\` escaped, integers only.
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace zonda::edge {

/// Throws Error(data) where the value holds a number with a fraction.
std::string canonical_json(const nlohmann::json& value);

}  // namespace zonda::edge
