#pragma once
#include "assimilation/interfaces/covariance.hpp"
#include "assimilation/interfaces/observations.hpp"

namespace zonda::assimilation {

/// x + B H^T (H B H^T + R)^-1 (y - H(x)), H taken at `background`, solved directly in observation space (Gandin 1963).
Vector optimal_interpolation(const Covariance& covariance, ConstView background, const Observations& observations);

}  // namespace zonda::assimilation
