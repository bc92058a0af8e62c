#include "inference/edge/forecast/coastline.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "core/error.hpp"

namespace zonda::edge {
namespace {

TEST(Coastline, OfARoundIslandIsACircle) {
  const Grid grid = Grid::regional(60, 40, 41, 350, 10, 41);  // half a degree
  std::vector<float> mask;
  for (std::size_t i = 0; i < 41; ++i)
    for (std::size_t j = 0; j < 41; ++j) {
      const double distance = std::hypot(10 - 0.5 * static_cast<double>(i), -10 + 0.5 * static_cast<double>(j));
      mask.push_back(static_cast<float>(0.5 + (6 - distance) / 20));  // 0.5 at six degrees
    }
  double length = 0;
  const auto segments = coastline(grid, mask);
  for (const CoastSegment& segment : segments) {
    for (const CoastPoint& point : {segment.from, segment.to})
      ASSERT_NEAR(std::hypot(point.latitude - 50, point.longitude - 360), 6, 0.01);
    length += std::hypot(segment.to.latitude - segment.from.latitude, segment.to.longitude - segment.from.longitude);
  }
  EXPECT_NEAR(length, 2 * std::numbers::pi * 6, 0.05);
}

TEST(Coastline, OfLandOrSeaAloneIsNone) {
  const Grid grid = Grid::regional(60, 40, 5, 350, 10, 5);
  EXPECT_TRUE(coastline(grid, std::vector<float>(25, 0)).empty());
  EXPECT_TRUE(coastline(grid, std::vector<float>(25, 1)).empty());
  EXPECT_THROW(coastline(grid, std::vector<float>(24, 1)), Error);
}

TEST(Coastline, ASaddleJoinsWhatItsMeanIs) {
  const Grid grid = Grid::regional(41, 40, 2, 10, 11, 2);
  const auto nearest_to_land = [&](std::vector<float> mask) {  // of the segments' middles to the diagonal of land
    const auto segments = coastline(grid, mask);
    EXPECT_EQ(segments.size(), 2U);
    double nearest = 1;
    for (const CoastSegment& s : segments)
      nearest = std::min(nearest, std::abs((s.from.latitude + s.to.latitude) / 2 - 40.5 +
                                           (s.from.longitude + s.to.longitude) / 2 - 10.5));
    return nearest;
  };
  // Land in the north-west and south-east: where it is joined, the lines cut off the other two corners.
  EXPECT_GT(nearest_to_land({1, 0.3F, 0.3F, 1}), 0.3);
  EXPECT_LT(nearest_to_land({0.6F, 0, 0, 0.6F}), 1e-9);
}

TEST(Coastline, GoesAroundTheGlobe) {
  const Grid grid = Grid::parse("latlon 8x16 no-poles");
  std::vector<float> mask(grid.size());
  for (std::size_t i = 0; i < grid.size(); ++i) mask[i] = i / 16 < 4 ? 1.0F : 0.0F;
  EXPECT_EQ(coastline(grid, mask).size(), 16U);
}

}  // namespace
}  // namespace zonda::edge
