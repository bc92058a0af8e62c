#include "core/grid.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/state.hpp"

namespace zonda {
namespace {

using testing::HasSubstr;

double total_area(const Grid& grid) {
  double sum = 0;
  for (std::size_t row = 0; row < grid.nlat(); ++row) sum += grid.cell_area(row) * static_cast<double>(grid.nlon());
  return sum;
}

constexpr double sphere = 4 * constants::pi * constants::earth_radius * constants::earth_radius;

class GlobalGrids : public testing::TestWithParam<const char*> {};

TEST_P(GlobalGrids, cover_the_sphere) {
  const Grid grid = Grid::parse(GetParam());
  EXPECT_NEAR(total_area(grid) / sphere, 1, 1e-13);
  EXPECT_TRUE(grid.periodic());
  EXPECT_NEAR(
      std::accumulate(grid.row_weights().begin(), grid.row_weights().end(), 0.0) / static_cast<double>(grid.nlat()), 1,
      1e-13);
  EXPECT_EQ(grid.latitude_bounds().front(), 90);
  EXPECT_EQ(grid.latitude_bounds().back(), -90);
}

TEST_P(GlobalGrids, have_rows_from_north_and_columns_eastward) {
  const Grid grid = Grid::parse(GetParam());
  const auto lat = grid.latitudes(), bounds = grid.latitude_bounds();
  for (std::size_t i = 0; i < grid.nlat(); ++i) {
    EXPECT_LE(lat[i], bounds[i]);
    EXPECT_GE(lat[i], bounds[i + 1]);
    EXPECT_GT(bounds[i], bounds[i + 1]);
    EXPECT_NEAR(lat[i], -lat[grid.nlat() - 1 - i], 1e-12) << "rows mirror at the equator";
    EXPECT_GT(grid.cell_area(i), 0);
  }
  for (std::size_t j = 0; j < grid.nlon(); ++j) {
    EXPECT_GE(grid.longitudes()[j], 0);
    EXPECT_LT(grid.longitudes()[j], 360);
    const double step = grid.longitudes()[(j + 1) % grid.nlon()] - grid.longitudes()[j];
    EXPECT_NEAR(std::remainder(step - grid.longitude_step(), 360), 0, 1e-9);
  }
}

TEST_P(GlobalGrids, round_trip_through_text) {
  const Grid grid = Grid::parse(GetParam());
  EXPECT_EQ(grid.to_string(), GetParam());
  EXPECT_EQ(Grid::parse(grid.to_string()), grid);
}

TEST_P(GlobalGrids, are_recognised_from_coordinates_either_way_up) {
  const Grid grid = Grid::parse(GetParam());
  std::vector<double> lat(grid.latitudes().begin(), grid.latitudes().end());
  std::vector<double> lon(grid.longitudes().begin(), grid.longitudes().end());
  EXPECT_EQ(Grid::from_coordinates(lat, lon), grid);
  EXPECT_EQ(Grid::from_coordinates(lat, lon).kind(), grid.kind());
  std::reverse(lat.begin(), lat.end());
  EXPECT_EQ(Grid::from_coordinates(lat, lon), grid);
  // As files keep them: rounded to float, and longitudes from -180.
  for (double& x : lat) x = static_cast<float>(x);
  for (double& x : lon) x = static_cast<float>(x >= 180 ? x - 360 : x);
  const Grid rounded = Grid::from_coordinates(lat, lon);
  EXPECT_EQ(rounded.kind(), grid.kind());
  EXPECT_TRUE(rounded.periodic());
  EXPECT_EQ(rounded.has_poles(), grid.has_poles());
}

INSTANTIATE_TEST_SUITE_P(grid, GlobalGrids,
                         testing::Values("latlon 181x360", "latlon 721x1440", "latlon 32x64 no-poles", "latlon 3x2",
                                         "latlon 33x64", "latlon 120x240 no-poles from 0.75", "gaussian 48x96",
                                         "gaussian 2x4", "gaussian 96x192 from 180"));

TEST(LatLon, rows_lie_where_they_should) {
  const Grid poles = Grid::latlon(181, 360, true);
  EXPECT_EQ(poles.latitudes()[0], 90);
  EXPECT_EQ(poles.latitudes()[90], 0);
  EXPECT_EQ(poles.latitudes()[180], -90);
  EXPECT_EQ(poles.latitudes()[1], 89);
  EXPECT_TRUE(poles.has_poles());
  const Grid centres = Grid::latlon(180, 360, false);
  EXPECT_EQ(centres.latitudes()[0], 89.5);
  EXPECT_FALSE(centres.has_poles());
  // R^2 dlon (sin upper - sin lower)
  const double radian = constants::pi / 180;
  EXPECT_NEAR(centres.cell_area(0),
              constants::earth_radius * constants::earth_radius * radian * (1 - std::sin(89 * radian)), 1e-3);
}

TEST(GaussLegendre, is_exact_for_polynomials) {
  for (const std::size_t n : {1, 2, 3, 4, 7, 16, 48, 64, 128}) {
    std::vector<double> x, w;
    gauss_legendre(n, x, w);
    ASSERT_EQ(x.size(), n);
    EXPECT_TRUE(std::is_sorted(x.rbegin(), x.rend()));
    for (std::size_t degree = 0; degree < 2 * n; ++degree) {
      double sum = 0;
      for (std::size_t i = 0; i < n; ++i) sum += w[i] * std::pow(x[i], static_cast<double>(degree));
      const double exact = degree % 2 == 0 ? 2.0 / (static_cast<double>(degree) + 1) : 0;
      EXPECT_NEAR(sum, exact, 5e-14) << n << " nodes, degree " << degree;
    }
  }
}

TEST(GaussLegendre, has_the_published_nodes) {
  std::vector<double> x, w;
  gauss_legendre(5, x, w);
  EXPECT_NEAR(x[0], 0.9061798459386640, 1e-15);
  EXPECT_NEAR(x[1], 0.5384693101056831, 1e-15);
  EXPECT_EQ(x[2], 0);
  EXPECT_NEAR(w[0], 0.2369268850561891, 1e-15);
  EXPECT_NEAR(w[1], 0.4786286704993665, 1e-15);
  EXPECT_NEAR(w[2], 0.5688888888888889, 1e-15);
  // T30's first latitude.
  EXPECT_NEAR(Grid::gaussian(48, 96).latitudes()[0], 87.159095, 1e-6);
}

TEST(Regional, may_cross_the_meridian) {
  const Grid grid = Grid::regional(60, 25, 71, 350, 40, 101);
  EXPECT_FALSE(grid.periodic());
  EXPECT_EQ(grid.latitudes()[0], 60);
  EXPECT_EQ(grid.latitudes()[70], 25);
  EXPECT_EQ(grid.longitudes()[0], 350);
  EXPECT_EQ(grid.longitudes()[20], 0);
  EXPECT_EQ(grid.longitudes()[100], 40);
  EXPECT_EQ(grid.longitude_step(), 0.5);
  EXPECT_EQ(grid.latitude_bounds()[0], 60.25);
  EXPECT_EQ(grid.latitude_bounds()[71], 24.75);
  EXPECT_EQ(Grid::parse("regional 60..25x71 350..40x101"), grid);
  EXPECT_EQ(Grid::parse("regional 60..25x71 -10..40x101"), grid);
  EXPECT_EQ(Grid::parse(grid.to_string()), grid);
  std::vector<double> lon;
  for (int i = 0; i < 101; ++i) lon.push_back(-10 + 0.5 * i);
  EXPECT_EQ(Grid::from_coordinates(std::vector<double>(grid.latitudes().begin(), grid.latitudes().end()), lon), grid);
}

TEST(SubGrids, are_cut_by_cell_centres) {
  const Grid grid = Grid::latlon(181, 360, true);
  const Grid::Window window = grid.window(60, 25, 350, 40);
  EXPECT_EQ(window.first_row, 30U);
  EXPECT_EQ(window.rows, 36U);
  EXPECT_EQ(window.first_column, 350U);
  EXPECT_EQ(window.columns, 51U);
  const Grid part = grid.sub_grid(window);
  EXPECT_EQ(part, Grid::regional(60, 25, 36, 350, 40, 51));
  for (std::size_t row = 0; row < part.nlat(); ++row)
    EXPECT_DOUBLE_EQ(part.cell_area(row), grid.cell_area(window.first_row + row));
  // Nothing inside.
  EXPECT_THROW(grid.window(10.2, 10.4, 0, 5), Error);
  EXPECT_THROW(Grid::regional(10, 0, 11, 0, 10, 11).window(10, 0, 100, 120), Error);
}

TEST(SubGrids, of_all_columns_stay_periodic) {
  const Grid grid = Grid::latlon(181, 360, true);
  const Grid tropics = grid.sub_grid(grid.window(20, -20, 0, 359.9));
  EXPECT_TRUE(tropics.periodic());
  EXPECT_EQ(tropics.nlon(), 360U);
  EXPECT_EQ(tropics.nlat(), 41U);
  EXPECT_EQ(Grid::parse(tropics.to_string()), tropics) << tropics.to_string();
  EXPECT_TRUE(Grid::parse(tropics.to_string()).periodic());
}

TEST(SubGrids, with_uneven_rows_round_trip_through_text) {
  const Grid grid = Grid::gaussian(48, 96);
  const Grid part = grid.sub_grid(grid.window(70, 20, 300, 30));
  EXPECT_EQ(Grid::parse(part.to_string()), part) << part.to_string();
  const Grid row = grid.sub_grid(grid.window(1.9, 1.8, 0, 90));
  EXPECT_EQ(row.nlat(), 1U);
  EXPECT_EQ(Grid::parse(row.to_string()), row) << row.to_string();
}

TEST(FromCoordinates, names_what_is_irregular) {
  const std::vector<double> lat{10, 0, -10}, lon{0, 10, 20};
  const auto complaint = [](const std::vector<double>& a, const std::vector<double>& o) {
    try {
      Grid::from_coordinates(a, o);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(complaint(lat, lon), "");
  EXPECT_THAT(complaint({10, 0, 5}, lon), HasSubstr("latitude"));
  EXPECT_THAT(complaint({10, 10, 0}, lon), HasSubstr("latitude"));
  EXPECT_THAT(complaint({10, 0, -91}, lon), HasSubstr("latitude"));
  EXPECT_THAT(complaint({10, std::nan(""), -10}, lon), HasSubstr("latitude"));
  EXPECT_THAT(complaint(lat, {0, 10, 25}), HasSubstr("longitude"));
  EXPECT_THAT(complaint(lat, {0, 10, 5}), HasSubstr("longitude"));
  EXPECT_THAT(complaint(lat, {20, 10, 0}), HasSubstr("longitude"));
  EXPECT_THAT(complaint(lat, {0, std::nan(""), 20}), HasSubstr("longitude"));
  EXPECT_NE(complaint(lat, {}), "");
  EXPECT_NE(complaint({}, lon), "");
}

TEST(ParseGrid, refuses_the_rest) {
  for (const char* text : {"",
                           "latlon",
                           "latlon 181",
                           "latlon 181x",
                           "latlon x360",
                           "latlon 181x360x3",
                           "latlon -1x4",
                           "latlon 0x0",
                           "latlon 1x1",
                           "gaussian 47x96",
                           "gaussian 48x96 no-poles",
                           "regional 25..60x71 350..40x101",
                           "regional 60..25x1 350..40x101",
                           "regional 91..25x10 0..10x10",
                           "regional 60..25x71",
                           "hexagonal 10x10",
                           "LATLON 181x360",
                           "latlon 181x360 ",
                           "latlon 99999999999x360",
                           "latlon 181 x 360",
                           "regional nan..25x3 0..10x3",
                           "regional 60..25x71 0..inf x3",
                           "latlon 32x64 from nan",
                           "latlon 32x64 poles"}) {
    try {
      Grid::parse(text);
      ADD_FAILURE() << "'" << text << "' was read";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage) << text;
    }
  }
}

TEST(Grids, differ_where_they_differ) {
  EXPECT_NE(Grid::latlon(180, 360, false), Grid::latlon(180, 360, false, 0.5));
  EXPECT_NE(Grid::latlon(48, 96, false), Grid::gaussian(48, 96));
  EXPECT_NE(Grid::latlon(181, 360, true), Grid::latlon(181, 180, true));
  EXPECT_EQ(Grid::latlon(181, 360, true), Grid::latlon(181, 360, true, 360));
}

TEST(States, hold_one_field_a_channel) {
  State state(Grid::latlon(3, 4, true), {parse_channel("z500"), parse_channel("2t")}, parse_time("2018-01-01"));
  EXPECT_EQ(state.values.size(), 24U);
  state.field(1)[0] = 5;
  EXPECT_EQ(state.values[12], 5);
  EXPECT_EQ(state.field(0).size(), 12U);
}

}  // namespace
}  // namespace zonda
