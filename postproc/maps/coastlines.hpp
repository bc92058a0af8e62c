#pragma once
// The world's coastlines: Natural Earth 1:110 million, public domain, built into the program.
#include <vector>

namespace zonda::postproc {

struct GeoPoint {
  double latitude, longitude;  ///< degrees, longitude in [-180, 180]
};

/// Open or closed lines; none crosses the date line.
const std::vector<std::vector<GeoPoint>>& coastlines();

}  // namespace zonda::postproc
