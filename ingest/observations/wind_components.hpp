#pragma once
#include <cmath>

#include "core/constants.hpp"

namespace zonda::ingest {

struct WindComponents {
  double eastward, northward;
};

/// `direction`: where the wind comes from, degrees clockwise from north.
inline WindComponents wind_components(double direction, double speed) {
  const double angle = direction * constants::pi / 180;
  return {-speed * std::sin(angle), -speed * std::cos(angle)};
}

}  // namespace zonda::ingest
