// Computed forcings against the almanac and against what must hold exactly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "ingest/forcing/forcing.hpp"
#include "ingest/forcing/solar_position.hpp"

namespace {

using namespace zonda;
using ingest::compute_forcing;
using ingest::solar_position;

constexpr double degree = constants::pi / 180.0;
const std::vector<std::string> only_insolation{"insolation"};

std::vector<float> insolation(const Grid& grid, Time time) {
  std::vector<float> values(grid.size());
  compute_forcing(grid, time, only_insolation, values);
  return values;
}

double area_mean(const Grid& grid, std::span<const float> values) {
  double sum = 0, area = 0;
  for (std::size_t i = 0; i < grid.nlat(); ++i) {
    for (std::size_t j = 0; j < grid.nlon(); ++j) {
      sum += grid.cell_area(i) * static_cast<double>(values[i * grid.nlon() + j]);
      area += grid.cell_area(i);
    }
  }
  return sum / area;
}

// Meeus, Astronomical Algorithms (1998), example 25.a: 1992 October 13, 0h TD: declination -7.78507 degrees, R 0.99766.
// The equation of time at that date, example 28.b: +13 min 42.6 s.
TEST(SolarPosition, AgreesWithTheAlmanac) {
  const auto sun = solar_position(parse_time("1992-10-13"));
  EXPECT_NEAR(sun.declination / degree, -7.78507, 0.01);
  EXPECT_NEAR(sun.distance, 0.99766, 1e-4);
  EXPECT_NEAR(sun.equation_of_time / degree * 4, 13 + 42.6 / 60, 0.1);
}

// Times of the solstices and equinoxes of 2020 (US Naval Observatory): the declination turns or vanishes.
TEST(SolarPosition, SeasonsBeginWhenTheyDo) {
  EXPECT_NEAR(solar_position(parse_time("2020-03-20T03:50")).declination / degree, 0, 0.01);
  EXPECT_NEAR(solar_position(parse_time("2020-06-20T21:44")).declination / degree, 23.44, 0.01);
  EXPECT_NEAR(solar_position(parse_time("2020-09-22T13:31")).declination / degree, 0, 0.01);
  EXPECT_NEAR(solar_position(parse_time("2020-12-21T10:02")).declination / degree, -23.44, 0.01);
}

// Perihelion 2020-01-05 07:48, 0.983244 au; aphelion 2020-07-04 11:35, 1.016694 au (US Naval Observatory).
TEST(SolarPosition, DistanceAtPerihelionAndAphelion) {
  EXPECT_NEAR(solar_position(parse_time("2020-01-05T07:48")).distance, 0.983244, 1e-4);
  EXPECT_NEAR(solar_position(parse_time("2020-07-04T11:35")).distance, 1.016694, 1e-4);
}

TEST(Insolation, AtTheEquatorAtNoonOfAnEquinoxIsTheSolarConstant) {
  const Grid grid = Grid::latlon(3, 1440, true);
  const auto values = insolation(grid, parse_time("2020-03-20T12:00"));
  const auto row = std::span(values).subspan(grid.nlon(), grid.nlon());
  const auto highest = std::max_element(row.begin(), row.end());
  EXPECT_NEAR(*highest, constants::solar_constant, 0.01 * constants::solar_constant);
  // The sun is 7.4 minutes late in late March: at 12 UTC it stands 1.86 degrees east of Greenwich.
  // already.
  EXPECT_NEAR(grid.longitudes()[static_cast<std::size_t>(highest - row.begin())], 1.875, 0.26);
}

TEST(Insolation, PolarNightIsDarkAndPolarDayIsNot) {
  const Grid grid = Grid::latlon(19, 36, true);
  for (const int hour : {0, 6, 12, 18}) {
    const auto values = insolation(grid, parse_time("2019-12-21") + std::chrono::hours(hour));
    for (std::size_t j = 0; j < grid.nlon(); ++j) {
      EXPECT_EQ(values[j], 0) << "North Pole";
      EXPECT_EQ(values[2 * grid.nlon() + j], 0) << "70 N";
      EXPECT_NEAR(values[18 * grid.nlon() + j], 1361 * 1.034 * std::sin(23.44 * degree), 2) << "South Pole";
      EXPECT_GT(values[16 * grid.nlon() + j], 0) << "70 S";
    }
  }
}

TEST(Insolation, GlobalMeanIsAQuarterOfWhatArrives) {
  const Grid grid = Grid::latlon(180, 360, false);
  double year = 0;
  for (int month = 0; month < 12; ++month) {
    const Time time = parse_time("2021-01-15") + std::chrono::hours(730 * month + month);
    const double distance = solar_position(time).distance;
    const double mean = area_mean(grid, insolation(grid, time));
    EXPECT_NEAR(mean, constants::solar_constant / 4 / (distance * distance), 0.05) << to_string(time);
    year += mean / 12;
  }
  EXPECT_NEAR(year, constants::solar_constant / 4, 0.5);
}

TEST(Forcing, DayOfYearAndLocalTimeAreTheirAngles) {
  const Grid grid = Grid::regional(60, 40, 3, 350, 10, 5);
  const std::vector<std::string> names{"sin_local_time", "cos_day_of_year", "cos_local_time", "sin_day_of_year"};
  std::vector<float> values(names.size() * grid.size());
  const Time time = parse_time("2021-04-02T06:00");
  compute_forcing(grid, time, names, values);
  const double year = 2 * constants::pi * (91.25 / 365);
  for (std::size_t k = 0; k < grid.size(); ++k) {
    const double day = 2 * constants::pi * (6 + grid.longitudes()[k % grid.nlon()] / 15) / 24;
    EXPECT_NEAR(values[k], std::sin(day), 1e-6);
    EXPECT_NEAR(values[grid.size() + k], std::cos(year), 1e-6);
    EXPECT_NEAR(values[2 * grid.size() + k], std::cos(day), 1e-6);
    EXPECT_NEAR(values[3 * grid.size() + k], std::sin(year), 1e-6);
  }
}

TEST(Forcing, RowsAreCutsOfTheWhole) {
  const Grid grid = Grid::gaussian(16, 32);
  const auto names = ingest::forcing_names();
  const Time time = parse_time("2018-10-06T18");
  std::vector<float> whole(names.size() * grid.size()), part(names.size() * 5 * grid.nlon());
  compute_forcing(grid, time, names, whole);
  compute_forcing(grid, time, names, 3, 8, part);
  for (std::size_t n = 0; n < names.size(); ++n) {
    for (std::size_t k = 0; k < 5 * grid.nlon(); ++k) {
      EXPECT_EQ(part[n * 5 * grid.nlon() + k], whole[n * grid.size() + 3 * grid.nlon() + k]) << names[n];
    }
  }
}

TEST(Forcing, AnUnknownNameGetsTheNearest) {
  const Grid grid = Grid::latlon(3, 4, true);
  const std::vector<std::string> names{"insulation"};
  std::vector<float> values(grid.size());
  try {
    compute_forcing(grid, parse_time("2020-01-01"), names, values);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), testing::HasSubstr("did you mean 'insolation'"));
  }
  EXPECT_THROW(ingest::check_forcings(names), Error);
  EXPECT_THROW(compute_forcing(grid, parse_time("2020-01-01"), only_insolation, std::span(values).first(5)), Error);
}

}  // namespace
