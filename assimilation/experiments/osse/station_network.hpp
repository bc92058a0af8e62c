#pragma once
// Where a simulated observing system looks.
#include <cstdint>
#include <string>
#include <vector>

#include "core/time.hpp"

namespace zonda::assimilation {

struct Station {
  std::string name;
  double latitude, longitude;  ///< degrees north; degrees east in [0, 360)
};

/// `count` places as dense as people live on Earth: many on northern land, few on the oceans and in the south. Points
/// of the Halton sequence (bases 2 and 3) from `first` on that a third coordinate (base 5) finds below the density;
/// named `PREFIX0001` on.
std::vector<Station> populated_network(std::size_t count, std::size_t first, const std::string& prefix);

/// `count` buoys that drift where currents take them: as many on each part of the globe, ice and land included. Points
/// of the Halton sequence (bases 2 and 3) from `first` on, named `PREFIX0001` on.
std::vector<Station> even_network(std::size_t count, std::size_t first, const std::string& prefix);

/// One point of a satellite's swath.
struct SwathPoint {
  double latitude, longitude;
};

/// A polar orbiter (98.7 degrees of inclination, 101.4 minutes an orbit) seen for `duration` from `begin` on: every
/// `spacing` metres along its track and across it, up to `half_width` metres to either side.
std::vector<SwathPoint> orbital_swath(Time begin, Duration duration, double spacing, double half_width);

}  // namespace zonda::assimilation
