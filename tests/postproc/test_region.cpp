#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "postproc/verification/region.hpp"

namespace zonda::postproc {
namespace {

TEST(Region, TheGlobesWeightIsItsNumberOfCells) {
  for (const Grid& grid : {Grid::latlon(181, 360, true), Grid::latlon(32, 64, false), Grid::gaussian(48, 96)})
    EXPECT_NEAR(RegionWeights(grid, region("global")).total(), static_cast<double>(grid.size()), 1e-9 * grid.size());
}

TEST(Region, SharesOfTheSphereAreThoseOfTheSines) {
  // 90 rows whose bounds fall on 20 and 60 degrees: whole rows make up the regions.
  const Grid grid = Grid::latlon(90, 180, false);
  const double all = RegionWeights(grid, region("global")).total();
  const double s20 = std::sin(20 * M_PI / 180), s60 = std::sin(60 * M_PI / 180);
  EXPECT_NEAR(RegionWeights(grid, region("tropics")).total() / all, s20, 1e-12);
  EXPECT_NEAR(RegionWeights(grid, region("northern-hemisphere")).total() / all, (1 - s20) / 2, 1e-12);
  EXPECT_NEAR(RegionWeights(grid, region("southern-hemisphere")).total() / all, (1 - s20) / 2, 1e-12);
  EXPECT_NEAR(RegionWeights(grid, region("arctic")).total() / all, (1 - s60) / 2, 1e-12);
  EXPECT_NEAR(RegionWeights(grid, region("antarctic")).total() / all, (1 - s60) / 2, 1e-12);
}

TEST(Region, WeightsAreNotCosines) {
  const Grid grid = Grid::latlon(19, 36, true);
  const double pole = std::sin(90 * M_PI / 180) - std::sin(85 * M_PI / 180);
  const double equator = 2 * std::sin(5 * M_PI / 180);
  const RegionWeights global(grid, region("global"));
  EXPECT_NEAR(global.row_weight(0) / global.row_weight(9), pole / equator, 1e-12);
}

TEST(Region, BoundsAreIncludedAndTheMeridianIsCrossed) {
  const Grid grid = Grid::latlon(73, 144, true);  // 2.5 degrees
  const RegionWeights europe(grid, region("europe"));
  EXPECT_DOUBLE_EQ(grid.latitudes()[europe.first_row()], 75);
  EXPECT_DOUBLE_EQ(grid.latitudes()[europe.end_row() - 1], 35);
  ASSERT_EQ(europe.columns().size(), 2U);  // 0 .. 42.5 and 347.5 .. 357.5
  EXPECT_EQ(europe.columns()[0], (std::pair<std::size_t, std::size_t>(0, 18)));
  EXPECT_EQ(europe.columns()[1], (std::pair<std::size_t, std::size_t>(139, 144)));
  const RegionWeights pacific(grid, region("north-pacific"));
  ASSERT_EQ(pacific.columns().size(), 1U);
  EXPECT_DOUBLE_EQ(grid.longitudes()[pacific.columns()[0].first], 145);
  EXPECT_DOUBLE_EQ(grid.longitudes()[pacific.columns()[0].second - 1], 230);
}

TEST(Region, LandVariantsWeighByTheLandFraction) {
  const Grid grid = Grid::latlon(4, 4, false);
  std::vector<float> land(grid.size(), 0.0F);
  std::vector<double> field(grid.size(), 100.0);
  land[5] = 1;
  land[6] = 0.5;
  field[5] = 2;
  field[6] = 8;
  EXPECT_DOUBLE_EQ(RegionWeights(grid, region("global-land"), land).mean(field), (2 + 0.5 * 8) / 1.5);
  EXPECT_THROW(RegionWeights(grid, region("global-land")), Error);
}

TEST(Region, AnUnknownNameProposesTheNearest) {
  try {
    region("europ");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("did you mean 'europe'"), std::string::npos) << error.what();
  }
}

TEST(Region, ARegionalGridOutsideHasNoCells) {
  EXPECT_EQ(RegionWeights(Grid::regional(60, 40, 21, 0, 20, 21), region("ausnz")).total(), 0);
}

}  // namespace
}  // namespace zonda::postproc
