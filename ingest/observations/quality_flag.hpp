#pragma once
// Why an observation is not used. The numbers are those of JEDI's ufo (QCflags.h) where it has the reason; those from
// 64 on are Zonda's own.
#include <cstdint>
#include <string_view>
#include <vector>

namespace zonda::ingest {

enum class QualityFlag : std::uint8_t {
  accepted = 0,
  missing = 10,             ///< a report without any value that is asked for
  rejected_at_source = 11,  ///< flagged by who sent it
  bounds = 12,              ///< outside the variable's limits
  domain = 13,              ///< outside the area, or above or below the model
  blacklisted = 14,
  operator_failed = 15,
  thinned = 16,     ///< a neighbour stands for it, or a mean of both does
  background = 19,  ///< too far from the background
  track = 21,       ///< position or speed that no platform can have
  buddy = 22,       ///< too far from its neighbours
  window = 64,      ///< outside the time window
  duplicate = 65,
  damaged = 66,      ///< bytes that cannot be decoded
  unsupported = 67,  ///< a kind of report or variable that is not read
  position = 68,     ///< no valid latitude and longitude
  time = 69,         ///< no valid time
  unit = 70,         ///< a unit that cannot be converted
  level = 71,        ///< an upper-air value without a valid pressure
};

std::string_view name(QualityFlag flag);
/// Every flag, in the order of its number.
const std::vector<QualityFlag>& quality_flags();

}  // namespace zonda::ingest
