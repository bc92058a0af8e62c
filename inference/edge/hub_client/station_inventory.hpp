#pragma once
// What a station tells its hub of itself.
#include <string>

#include "inference/edge/catalogue/assignment_rules.hpp"
#include "inference/edge/catalogue/station_report.hpp"
#include "inference/edge/station/station.hpp"

namespace zonda::edge {

/// The text of a StationReport, signed by the key whose id the traits have. `name`: for people.
std::string signed_inventory(const StationView& view, const StationTraits& traits, const SecretKey& key,
                             const std::string& name, const std::string& software);

}  // namespace zonda::edge
