#pragma once
// Idealised mountains, so that longitudes differ.
#include <span>
#include <vector>

#include "model/spectral/spherical_transform.hpp"

namespace zonda::model {

/// height exp(-((lat - latitude) / latitude_width)^2 - ((lon - longitude) / longitude_width)^2)
struct Mountain {
  double latitude = 45, longitude = 90;              ///< degrees
  double height = 2000;                              ///< m
  double latitude_width = 15, longitude_width = 15;  ///< degrees
};

/// Surface geopotential [coefficients, 2], m2 s-2, smoothed towards the truncation (factor 1 / (1 + 4 (n (n + 1) / (T
/// (T + 1)))^2)) so that no ripples stand beside the slopes.
std::vector<double> mountain_geopotential(const SphericalTransform& transform, std::span<const Mountain> mountains);

}  // namespace zonda::model
