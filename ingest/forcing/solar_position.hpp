#pragma once
// Where the sun is: the low-precision formulas of the Astronomical Almanac (page C5), good to 0.01 degree between 1950
// and 2050 and to some hundredths for centuries around.
#include "core/time.hpp"

namespace zonda::ingest {

struct SolarPosition {
  double declination;       ///< radians, north positive
  double equation_of_time;  ///< radians: apparent minus mean solar time (one day = 2 pi)
  double distance;          ///< astronomical units
};

SolarPosition solar_position(Time time);

/// Hour angle of the true sun at Greenwich, radians, in (-pi, pi]: zero at apparent noon; add the longitude elsewhere.
double greenwich_hour_angle(Time time);

}  // namespace zonda::ingest
