// What maps and charts are made of: round numbers, colours, isolines, projections, interpolation, coastlines.
#include <gtest/gtest.h>

#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "postproc/maps/coastlines.hpp"
#include "postproc/maps/colour_table.hpp"
#include "postproc/maps/contour.hpp"
#include "postproc/maps/field_sampler.hpp"
#include "postproc/maps/field_style.hpp"
#include "postproc/maps/nice_scale.hpp"
#include "postproc/maps/projection.hpp"

namespace zonda::postproc {
namespace {

TEST(NiceScale, StepsAndLevelsAreRound) {
  EXPECT_DOUBLE_EQ(nice_step(100, 10), 10);
  EXPECT_DOUBLE_EQ(nice_step(73, 6), 20);
  EXPECT_DOUBLE_EQ(nice_step(0.9, 4), 0.25);
  EXPECT_EQ(covering_levels(-3, 11, 5), (std::vector<double>{-5, 0, 5, 10, 15}));
  EXPECT_EQ(ticks_within(-3, 11, 5), (std::vector<double>{0, 5, 10}));
}

TEST(NiceScale, TextsHaveNoSuperfluousDigits) {
  EXPECT_EQ(tick_text(0.30000000000000004), "0.3");
  EXPECT_EQ(tick_text(-2.5), "\u22122.5");
  EXPECT_EQ(tick_text(1250), "1250");
  EXPECT_EQ(tick_text(2e6), "2e6");
  EXPECT_EQ(tick_text(0), "0");
  EXPECT_EQ(power_text(1e5), "10⁵");
  EXPECT_EQ(power_text(1e-4), "10⁻⁴");
  EXPECT_EQ(power_text(20), "20");
}

TEST(NiceScale, RangeLeavesOutMissingAndExtremeValues) {
  std::vector<float> values(1000, 1.0F);
  values[0] = 1e9F;
  values[1] = std::nanf("");
  values[2] = -5;
  EXPECT_DOUBLE_EQ(value_range(values).maximum, 1e9);
  EXPECT_DOUBLE_EQ(value_range(values).minimum, -5);
  EXPECT_DOUBLE_EQ(value_range(values, 0.002).maximum, 1);
}

TEST(ColourTable, TheDivergingOneIsWhiteInTheMiddle) {
  const Colour middle = colour_table("diverging").at(0.5);
  EXPECT_DOUBLE_EQ(middle.red + middle.green + middle.blue, 3);
  EXPECT_GT(colour_table("diverging").at(1).red, colour_table("diverging").at(1).blue);
  EXPECT_THROW(colour_table("rainbow"), Error);
}

TEST(FieldStyle, UnitsForecastersUse) {
  const FieldStyle z = field_style({"z", 500});
  EXPECT_EQ(z.unit, "dam");
  EXPECT_NEAR(5500 * constants::gravity * z.scale, 550, 1e-9);
  EXPECT_EQ(z.title, "500 hPa geopotential height");
  EXPECT_EQ(field_style({"t", 850}).offset, -273.15);
  EXPECT_EQ(error_style({"t", 850}).offset, 0);
  EXPECT_EQ(field_style({"tp", 0}).unit, "mm");
  EXPECT_EQ(field_style({"10wind", 0}).title, "10 m wind speed");
  EXPECT_EQ(field_style({"wind", 250}).title, "250 hPa wind speed");
  EXPECT_NEAR(score_unit({"z", 500}).scale * constants::gravity, 1, 1e-15);
  EXPECT_EQ(score_unit({"t", 850}).unit, "K");
  EXPECT_EQ(channel_title({"10wind", 0}), "10 m wind");
}

TEST(FieldStyle, LevelsFitTheData) {
  const std::vector<double> z = shading_levels(field_style({"z", 500}), {498, 592});
  EXPECT_DOUBLE_EQ(z[1] - z[0], 6);
  EXPECT_LE(z.front(), 498);
  EXPECT_GE(z.back(), 592);
  const std::vector<double> error = shading_levels(error_style({"t", 850}), {-3, 7});
  EXPECT_EQ(error.size() % 2, 0U);
  for (std::size_t i = 0; i < error.size(); ++i) EXPECT_DOUBLE_EQ(error[i], -error[error.size() - 1 - i]);
  EXPECT_DOUBLE_EQ(shading_levels(field_style({"10wind", 0}), {1.3, 22}).front(), 0);
}

TEST(Contour, ACircleIsOneClosedLineOfItsLength) {
  const std::size_t n = 81;
  std::vector<double> values(n * n);
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < n; ++c)
      values[r * n + c] = std::hypot(static_cast<double>(r) - 40, static_cast<double>(c) - 40);
  const auto lines = contour_lines(values, n, n, 25.3);
  ASSERT_EQ(lines.size(), 1U);
  double length = 0;
  for (std::size_t i = 1; i < lines[0].size(); ++i)
    length += std::hypot(lines[0][i].x - lines[0][i - 1].x, lines[0][i].y - lines[0][i - 1].y);
  EXPECT_NEAR(length, 2 * M_PI * 25.3, 0.2);
  EXPECT_DOUBLE_EQ(lines[0].front().x, lines[0].back().x);
  for (const Point& p : lines[0]) EXPECT_NEAR(std::hypot(p.x - 40, p.y - 40), 25.3, 0.02);
  values[40 * n + 66] = std::nan("");  // on the circle: the line is cut
  EXPECT_EQ(contour_lines(values, n, n, 25.3).size(), 1U);
  EXPECT_TRUE(contour_lines(values, n, n, 1000).empty());
}

TEST(Projection, InverseUndoesForward) {
  for (const char* name : {"lat-lon", "orthographic", "north-polar", "south-polar"}) {
    ProjectionOptions options;
    options.name = name;
    const auto projection = make_projection(options, Grid::latlon(32, 64, false));
    std::size_t seen = 0;
    for (double latitude = -85; latitude <= 85; latitude += 17)
      for (double longitude = -175; longitude < 180; longitude += 25) {
        const auto point = projection->forward(latitude, longitude);
        if (!point) continue;
        const auto back = projection->inverse(*point);
        if (!back) continue;
        ++seen;
        EXPECT_NEAR(back->latitude, latitude, 1e-6) << name;
        EXPECT_NEAR(std::remainder(back->longitude - longitude, 360), 0, 1e-6) << name;
      }
    EXPECT_GT(seen, 40U) << name;
  }
  ProjectionOptions options;
  options.name = "mercator";
  EXPECT_THROW(make_projection(options, Grid::latlon(32, 64, false)), Error);
}

TEST(Projection, ARegionalMapShowsItsGrid) {
  const auto projection = make_projection({}, Grid::regional(60, 40, 21, 350, 10, 21));
  EXPECT_NEAR(projection->forward(60.5, 349.5)->x, 0, 1e-12);
  EXPECT_NEAR(projection->forward(60.5, 349.5)->y, 0, 1e-12);
  EXPECT_NEAR(projection->forward(39.5, 10.5)->x, 1, 1e-12);
  EXPECT_LT(projection->forward(50, -20)->x, 0);
}

TEST(FieldSampler, MeetsTheGridPointsWrapsAndCrossesThePole) {
  for (const bool smooth : {true, false}) {
    const Grid grid = Grid::latlon(36, 72, false);
    std::vector<float> field(grid.size());
    const auto value = [](double latitude, double longitude) {
      const double phi = latitude * M_PI / 180, lambda = longitude * M_PI / 180;
      return std::cos(phi) * std::cos(lambda) + std::sin(phi);  // smooth over the pole
    };
    for (std::size_t i = 0; i < field.size(); ++i)
      field[i] = static_cast<float>(value(grid.latitudes()[i / 72], grid.longitudes()[i % 72]));
    const FieldSampler sampler(grid, field, 10, 5, smooth);
    EXPECT_NEAR(*sampler.at(grid.latitudes()[7], grid.longitudes()[9]), 10 * field[7 * 72 + 9] + 5, 1e-5);
    const double tolerance = smooth ? 0.005 : 0.03;
    for (const auto& [latitude, longitude] :
         {std::pair(89.5, 33.0), {90.0, 0.0}, {-88.9, 200.0}, {12.3, 359.1}, {0.0, -0.5}})
      EXPECT_NEAR(*sampler.at(latitude, longitude), 10 * value(latitude, longitude) + 5, 10 * tolerance) << latitude;
  }
  const Grid regional = Grid::regional(60, 40, 21, 350, 10, 21);
  const FieldSampler sampler(regional, std::vector<float>(regional.size(), 2.0F));
  EXPECT_DOUBLE_EQ(*sampler.at(50, 0), 2);
  EXPECT_FALSE(sampler.at(50, 20));
  EXPECT_FALSE(sampler.at(70, 0));
}

TEST(Coastlines, AreTheWorlds) {
  std::size_t points = 0;
  double north = -90, south = 90;
  for (const auto& line : coastlines()) {
    EXPECT_GE(line.size(), 2U);
    points += line.size();
    for (std::size_t i = 0; i < line.size(); ++i) {
      north = std::max(north, line[i].latitude);
      south = std::min(south, line[i].latitude);
      ASSERT_LE(std::abs(line[i].longitude), 180);
      if (i > 0) {
        EXPECT_LT(std::abs(line[i].longitude - line[i - 1].longitude), 30);
      }
    }
  }
  EXPECT_GT(points, 4000U);
  EXPECT_NEAR(north, 83.6, 0.2);   // northern Greenland
  EXPECT_NEAR(south, -85.6, 0.5);  // the Ross shelf
}

}  // namespace
}  // namespace zonda::postproc
