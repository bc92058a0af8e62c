#include "ingest/sources/unit_conversion.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/variables.hpp"
#include "ingest/sources/horizontal_layout.hpp"
#include "temporary_folder.hpp"

using namespace zonda;
using namespace zonda::ingest;

namespace {

TEST(UnitConversion, WhatFilesWrite) {
  EXPECT_TRUE(unit_conversion("m s**-1", "m s-1").identity());
  EXPECT_TRUE(unit_conversion("m**2 s**-2", "m2 s-2").identity());
  EXPECT_TRUE(unit_conversion("kg kg**-1", "kg kg-1").identity());
  EXPECT_TRUE(unit_conversion("(0 - 1)", "1").identity());
  EXPECT_TRUE(unit_conversion("J m**-2", "J m-2").identity());
  EXPECT_DOUBLE_EQ(unit_conversion("degC", "K")(20), 293.15);
  EXPECT_DOUBLE_EQ(unit_conversion("g kg-1", "kg kg-1")(1), 1e-3);
  EXPECT_DOUBLE_EQ(unit_conversion("hPa", "Pa")(1013.25), 101325);
  EXPECT_DOUBLE_EQ(unit_conversion("millibars", "Pa")(1), 100);
  EXPECT_DOUBLE_EQ(unit_conversion("%", "1")(50), 0.5);
  EXPECT_DOUBLE_EQ(unit_conversion("knots", "m s-1")(1), 1852.0 / 3600);
  EXPECT_DOUBLE_EQ(unit_conversion("gpm", "m2 s-2")(1), constants::gravity);
  EXPECT_DOUBLE_EQ(unit_conversion("dam", "m2 s-2")(1), 10 * constants::gravity);
  EXPECT_DOUBLE_EQ(unit_conversion("kg m**-2", "m")(2), 0.002);
  EXPECT_DOUBLE_EQ(unit_conversion("mm", "m")(2), 0.002);
}

TEST(UnitConversion, WhatCannotBe) {
  for (const auto& [from, to] : {std::pair{"K m", "K"}, std::pair{"bananas", "K"}, std::pair{"m s-1", "m2 s-2"},
                                 std::pair{"kg m-2 s-1", "m"}, std::pair{"", "K"}, std::pair{"lg(re 1 mW)", "W"}}) {
    EXPECT_THAT(zonda::test::error_of([&] { unit_conversion(from, to); }),
                testing::HasSubstr("cannot be converted to '" + std::string(to) + "'"))
        << from;
  }
}

TEST(UnitConversion, EveryUnitOfTheVariableTableIsUnderstood) {
  for (const Variable& variable : variable_table()) {
    EXPECT_TRUE(unit_conversion(variable.unit + " ", variable.unit).identity()) << variable.unit;
  }
}

TEST(HorizontalLayout, TurnsEveryOrderAndOriginToOne) {
  const Grid expected = Grid::latlon(5, 8, true);
  const std::vector<double> down{90, 45, 0, -45, -90}, up{-90, -45, 0, 45, 90};
  for (const auto& latitudes : {down, up}) {
    for (const double origin : {0.0, -180.0, -45.0, 90.0, 360.0}) {
      for (const bool backwards : {false, true}) {
        for (const std::size_t columns : {8u, 9u}) {  // 9: the cyclic column twice
          std::vector<double> longitudes;
          for (std::size_t j = 0; j < columns; ++j) longitudes.push_back(origin + 45.0 * static_cast<double>(j));
          if (backwards) std::reverse(longitudes.begin(), longitudes.end());
          const HorizontalLayout layout(latitudes, longitudes, "test");
          ASSERT_EQ(layout.grid(), expected) << origin << backwards << columns;
          std::vector<double> source;
          for (const double latitude : latitudes) {
            for (const double longitude : longitudes)
              source.push_back(1000 * latitude + std::fmod(longitude + 720, 360));
          }
          std::vector<float> target(expected.size());
          layout.turn(source, columns, 1, target, [](double value) { return value; });
          for (std::size_t i = 0; i < 5; ++i) {
            for (std::size_t j = 0; j < 8; ++j) {
              ASSERT_EQ(target[i * 8 + j], static_cast<float>(1000 * down[i] + 45.0 * static_cast<double>(j)));
            }
          }
        }
      }
    }
  }
}

}  // namespace
