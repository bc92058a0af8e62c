#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/error.hpp"
#include "model/dynamics/initial_state.hpp"
#include "model/dynamics/mountains.hpp"
#include "model/dynamics/primitive_equations.hpp"

namespace zonda::model {
namespace {

TEST(PrimitiveEquations, RestOverMountainsStaysAtRest) {
  CoreParameters parameters;
  parameters.truncation = 21;
  parameters.diffusion_time = 0;
  const SphericalTransform transform(21);
  const std::vector<Mountain> mountains{{40, 90, 2000, 20, 20}};
  const auto ground = mountain_geopotential(transform, mountains);
  PrimitiveEquations atmosphere(parameters, ground);
  atmosphere.start(rest_state(transform, parameters.levels, ground, false), Time{});
  for (int i = 0; i < 96; ++i) atmosphere.step();
  double largest = 0;
  for (const double x : atmosphere.present().vorticity) largest = std::max(largest, std::abs(x));
  for (const double x : atmosphere.present().divergence) largest = std::max(largest, std::abs(x));
  EXPECT_LT(largest, 1e-12);  // 1/s; the earth turns with 1e-4
}

}  // namespace
}  // namespace zonda::model
