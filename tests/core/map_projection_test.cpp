#include "core/map_projection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <proj.h>

#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/grid.hpp"
#include "core/wind_axes.hpp"

namespace zonda {
namespace {

constexpr double radian = constants::pi / 180;

/// PROJ's own answers.
class Proj {
 public:
  explicit Proj(const std::string& text)
      : context_(proj_context_create()), object_(proj_create(context_, text.c_str())) {}
  ~Proj() {
    proj_destroy(object_);
    proj_context_destroy(context_);
  }
  Proj(const Proj&) = delete;
  Proj& operator=(const Proj&) = delete;
  bool known() const { return object_ != nullptr; }
  PlanePoint forward(const GeographicPoint& p) const {
    const PJ_COORD c = proj_trans(object_, PJ_FWD, proj_coord(proj_torad(p.longitude), proj_torad(p.latitude), 0, 0));
    return {c.xy.x, c.xy.y};
  }
  PJ_FACTORS factors(const GeographicPoint& p) const {
    return proj_factors(object_, proj_coord(proj_torad(p.longitude), proj_torad(p.latitude), 0, 0));
  }

 private:
  PJ_CONTEXT* context_;
  PJ* object_;
};

struct Case {
  const char* text;
  double south, north, west, east;
};

class Projections : public testing::TestWithParam<Case> {
 protected:
  template <class Check>
  void at_points(Check check) const {
    const Case& c = GetParam();
    for (double latitude = c.south; latitude <= c.north; latitude += (c.north - c.south) / 12)
      for (double longitude = c.west; longitude <= c.east; longitude += (c.east - c.west) / 11)
        check(GeographicPoint{latitude, std::fmod(longitude + 360, 360)});
  }
};

TEST_P(Projections, agree_with_proj_and_come_back) {
  const MapProjection ours = MapProjection::parse(GetParam().text);
  const Proj theirs(ours.to_string());
  ASSERT_TRUE(theirs.known()) << ours.to_string();
  EXPECT_EQ(MapProjection::parse(ours.to_string()), ours);
  at_points([&](const GeographicPoint& p) {
    const PlanePoint found = ours.forward(p), expected = theirs.forward(p);
    EXPECT_NEAR(found.x, expected.x, 1e-6);
    EXPECT_NEAR(found.y, expected.y, 1e-6);
    const GeographicPoint back = ours.inverse(found);
    EXPECT_NEAR(back.latitude, p.latitude, 1e-9);
    EXPECT_NEAR(std::remainder(back.longitude - p.longitude, 360) * std::cos(p.latitude * radian), 0, 1e-9);
  });
}

TEST_P(Projections, scale_and_direction_of_east_are_projs_and_those_of_differences) {
  const MapProjection ours = MapProjection::parse(GetParam().text);
  const Proj theirs(ours.to_string());
  at_points([&](const GeographicPoint& p) {
    if (std::abs(p.latitude) > 89.9) return;
    const MapProjection::Local local = ours.local(p);
    const PJ_FACTORS factors = theirs.factors(p);
    EXPECT_NEAR(local.scale_x * local.scale_y / factors.areal_scale, 1, 1e-7);
    if (!ours.rotated_pole()) {
      EXPECT_EQ(local.scale_x, local.scale_y);
      EXPECT_NEAR(local.scale_x / factors.meridional_scale, 1, 1e-7);
      EXPECT_NEAR(local.scale_x / factors.parallel_scale, 1, 1e-7);
    }
    constexpr double step = 1e-5;
    const PlanePoint east = ours.forward({p.latitude, p.longitude + step}),
                     west = ours.forward({p.latitude, p.longitude - step});
    const double x = (east.x - west.x) / local.scale_x, y = (east.y - west.y) / local.scale_y;
    EXPECT_NEAR(std::remainder(local.east - std::atan2(y, x), 2 * constants::pi), 0, 1e-6);
    const double metres = 2 * step * radian * ours.radius() * std::cos(p.latitude * radian);
    EXPECT_NEAR(std::hypot(x, y) / metres, 1, 1e-5);
  });
}

// Of the transverse Mercator PROJ takes an arc cosine, which is exact to centimetres only near the equator.
INSTANTIATE_TEST_SUITE_P(
    All, Projections,
    testing::Values(Case{"+proj=lcc +lat_1=35 +lat_2=65 +lat_0=50 +lon_0=10", 20, 80, -50, 70},
                    Case{"+proj=lcc +lat_1=-30 +lat_2=-60 +lat_0=-45 +lon_0=300 +x_0=1000 +R=6370000", -80, -10, 230,
                         355},
                    Case{"+proj=lcc +lat_1=25 +lat_0=25 +lon_0=265 +units=m +no_defs", 10, 60, 220, 310},
                    Case{"+proj=stere +lat_0=90 +lat_ts=60 +lon_0=335", 30, 90, 0, 355},
                    Case{"+proj=stere +lat_0=-90 +lon_0=0 +k_0=0.97", -90, -30, 0, 355},
                    Case{"+proj=stere +lat_0=47 +lon_0=8 +y_0=-5e5", 10, 80, -60, 70},
                    Case{"+proj=merc +lon_0=110 +lat_ts=20", -60, 60, 40, 180},
                    Case{"+proj=tmerc +lat_0=36 +lon_0=103 +k_0=0.9996", 12, 70, 80, 130},
                    Case{"+proj=ob_tran +o_proj=eqc +o_lat_p=39.25 +lon_0=18", 20, 75, -40, 70},
                    Case{"+proj=ob_tran +o_proj=eqc +o_lat_p=39.25 +o_lon_p=25 +lon_0=18 +R=6370000", 20, 75, -40, 70},
                    Case{"+proj=ob_tran +o_proj=eqc +o_lat_p=-30 +o_lon_p=-100 +lon_0=130", -60, 15, 90, 170},
                    Case{"+proj=ob_tran +o_proj=eqc +o_lat_p=0 +lon_0=-60", 60, 90, 0, 355}));

TEST(RotatedPole, has_its_points_where_they_are_known) {
  // CORDEX's domain of Europe: the pole at 39.25 N, 162 W; the equator's middle stands opposite to it.
  const MapProjection europe11 = MapProjection::parse("+proj=ob_tran +o_proj=eqc +o_lat_p=39.25 +lon_0=18");
  const double quarter = constants::earth_radius * constants::pi / 2;
  const PlanePoint middle = europe11.forward({50.75, 18}), pole = europe11.forward({39.25, 198}),
                   north = europe11.forward({90, 0});
  EXPECT_NEAR(middle.x, 0, 1e-6);
  EXPECT_NEAR(middle.y, 0, 1e-6);
  EXPECT_NEAR(pole.y, quarter, 1e-1);  // where the arc sine is flat
  EXPECT_NEAR(north.x, 0, 1e-6);
  EXPECT_NEAR(north.y, quarter * 39.25 / 90, 1e-6);
  // A quarter of the rotated equator east of the middle lies on the true one.
  const GeographicPoint east = europe11.inverse({quarter, 0});
  EXPECT_NEAR(east.latitude, 0, 1e-12);
  EXPECT_NEAR(east.longitude, 108, 1e-12);
  EXPECT_NEAR(europe11.local({50.75, 18}).east, 0, 1e-12);
  const auto mapping = europe11.grid_mapping();
  EXPECT_EQ(mapping.name, "rotated_latitude_longitude");
  EXPECT_EQ(mapping.attributes[0].values[0], 39.25);
  EXPECT_EQ(mapping.attributes[1].values[0], -162);
  // With the pole at the pole it is plate carree.
  const MapProjection plain = MapProjection::parse("+proj=ob_tran +o_proj=eqc +o_lat_p=90");
  const PlanePoint at = plain.forward({30, 60});
  EXPECT_NEAR(at.x, quarter * 60 / 90, 1e-6);
  EXPECT_NEAR(at.y, quarter * 30 / 90, 1e-6);
}

TEST(RotatedPole, cells_have_the_areas_of_latitude_and_longitude) {
  const Grid grid = Grid::parse(
      "projected 2500000..-2500000x51 -2500000..2500000x51 +proj=ob_tran +o_proj=eqc +o_lat_p=39.25 +lon_0=18");
  EXPECT_EQ(Grid::parse(grid.to_string()), grid);
  const double r = constants::earth_radius, half = 50'000;
  for (std::size_t row = 0; row < grid.nlat(); ++row) {
    const double exact = 2 * half * r * (std::sin((grid.y()[row] + half) / r) - std::sin((grid.y()[row] - half) / r));
    for (std::size_t column = 0; column < grid.nlon(); ++column)
      EXPECT_NEAR(grid.area(row * grid.nlon() + column) / exact, 1, 1e-9);
  }
}

TEST(MapProjection, refuses_what_it_would_get_wrong) {
  for (const char* text :
       {"", "+proj=laea +lat_0=50", "+proj=lcc +lat_1=30 +lat_2=-30", "+proj=lcc +lat_1=30 +ellps=WGS84",
        "+proj=lcc +lat_1=30 +lat_1=40", "+proj=lcc +lat_1=north", "proj=lcc",
        "+proj=lcc +lat_1=30 +a=6378137 +b=6356752", "+proj=merc +lat_ts=90", "+proj=stere +lat_0=91",
        "+proj=lcc +lat_1=30 +units=km", "+proj=tmerc +k_0=0", "+proj=lcc +lat_1=30 +k_0=0.99",
        "+proj=ob_tran +o_lat_p=30", "+proj=ob_tran +o_proj=longlat +o_lat_p=30", "+proj=ob_tran +o_proj=eqc",
        "+proj=ob_tran +o_proj=eqc +o_lat_p=95", "+proj=ob_tran +o_proj=eqc +o_lat_p=30 +lat_0=10",
        "+proj=ob_tran +o_proj=eqc +o_lat_p=30 +x_0=1"})
    EXPECT_THROW(MapProjection::parse(text), Error) << text;
}

const Grid europe = Grid::parse(
    "projected 1500000..-1500000x25 -1750000..1750000x29 +proj=lcc +lat_1=35 +lat_2=65 "
    "+lat_0=50 +lon_0=10");

TEST(ProjectedGrid, has_the_area_of_what_it_covers) {
  // Cells of 2 x 2 degrees counted by their centres would be coarse; the plane itself is cut finely instead.
  double sum = 0, finer = 0;
  for (std::size_t cell = 0; cell < europe.size(); ++cell) sum += europe.area(cell);
  const Grid fine = Grid::projected(*europe.projection(), 1500000 + 62500 - 6250, -1500000 - 62500 + 6250, 250,
                                    -1750000 - 62500 + 6250, 1750000 + 62500 - 6250, 290);
  for (std::size_t cell = 0; cell < fine.size(); ++cell) finer += fine.area(cell);
  EXPECT_NEAR(sum / finer, 1, 1e-9);
  // A polar cap: exactly known.
  const Grid cap = Grid::parse("projected 500000..-500000x101 -500000..500000x101 +proj=stere +lat_0=90 +lat_ts=90");
  double inside = 0;
  const double rim = 85.6;
  for (std::size_t cell = 0; cell < cap.size(); ++cell)
    if (cap.centre(cell).latitude > rim) inside += cap.area(cell);
  const double r = constants::earth_radius;
  EXPECT_NEAR(inside / (2 * constants::pi * r * r * (1 - std::sin(rim * radian))), 1, 1e-2);
}

TEST(ProjectedGrid, round_trips_through_text_and_finds_its_own_cells) {
  const Grid again = Grid::parse(europe.to_string());
  EXPECT_EQ(again, europe);
  EXPECT_EQ(again.to_string(), europe.to_string());
  EXPECT_FALSE(europe == Grid::parse("projected 1500000..-1500000x25 -1750000..1750000x29 +proj=lcc +lat_1=36 "
                                     "+lat_2=65 +lat_0=50 +lon_0=10"));
  for (std::size_t cell = 0; cell < europe.size(); ++cell) {
    const auto place = europe.place(europe.centre(cell));
    ASSERT_TRUE(place);
    EXPECT_NEAR(place->row, static_cast<double>(cell / 29), 1e-8);
    EXPECT_NEAR(place->column, static_cast<double>(cell % 29), 1e-8);
  }
  const GridExtent extent = europe.extent();
  EXPECT_GT(extent.west, extent.east) << "across the prime meridian";
  EXPECT_GT(extent.north, 60);
  const Grid arctic = Grid::parse("projected 9e5..-9e5x19 -9e5..9e5x19 +proj=stere +lat_0=90");
  EXPECT_EQ(arctic.extent().north, 90);
  EXPECT_EQ(arctic.extent().east, 360);
}

TEST(ProjectedGrid, refuses_points_off_the_map_and_questions_for_rows) {
  EXPECT_THROW(Grid::parse("projected 3e7..-1e7x20 -1e7..1e7x20 +proj=lcc +lat_1=40"), Error);
  EXPECT_THROW(Grid::parse("projected 1e5..-1e5x99999 -1e5..1e5x99999 +proj=lcc +lat_1=40"), Error);
  EXPECT_THROW(Grid::parse("projected 0..1x2 0..1x2 +proj=lcc +lat_1=40"), Error);
  EXPECT_THROW(europe.latitudes(), Error);
  EXPECT_THROW(europe.row_weights(), Error);
}

const Grid rotated = Grid::parse(
    "projected 1500000..-1500000x25 -1750000..1750000x29 +proj=ob_tran +o_proj=eqc +o_lat_p=39.25 +o_lon_p=5 "
    "+lon_0=18");

class WindAxes : public testing::TestWithParam<Grid> {};

TEST_P(WindAxes, a_solid_body_rotation_is_turned_as_the_plane_is) {
  const Grid& grid = GetParam();
  // Around the axis: u = omega R cos(lat), v = 0; in the plane the velocity is that of the projected point.
  const std::vector<Channel> channels{{"t", 850}, {"v", 850}, {"u", 850}};
  const auto pairs = wind_pairs(channels);
  ASSERT_EQ(pairs.size(), 1U);
  EXPECT_EQ(pairs[0].eastward, 2U);
  std::vector<float> state(3 * grid.size(), 1.0F);
  for (std::size_t cell = 0; cell < grid.size(); ++cell) {
    state[grid.size() + cell] = 0;
    state[2 * grid.size() + cell] = static_cast<float>(20 * std::cos(grid.centre(cell).latitude * radian));
  }
  const std::vector<float> before = state;
  turn_to_axes(grid, pairs, state);
  const MapProjection& projection = *grid.projection();
  for (std::size_t cell = 0; cell < grid.size(); ++cell) {
    const GeographicPoint p = grid.centre(cell);
    const double step = 1e-4;  // degrees of turning, each way
    const PlanePoint a = projection.forward({p.latitude, p.longitude + step}),
                     b = projection.forward({p.latitude, p.longitude - step});
    const double time = 2 * step * radian * constants::earth_radius / 20;
    const MapProjection::Local local = projection.local(p);
    EXPECT_NEAR(state[2 * grid.size() + cell], (a.x - b.x) / time / local.scale_x, 2e-5);
    EXPECT_NEAR(state[grid.size() + cell], (a.y - b.y) / time / local.scale_y, 2e-5);
    EXPECT_EQ(state[cell], 1);
  }
  turn_to_true(grid, pairs, state);
  for (std::size_t i = 0; i < state.size(); ++i) EXPECT_NEAR(state[i], before[i], 5e-6);
  const std::vector<Channel> lone{{"u", 850}};
  EXPECT_THROW(wind_pairs(lone), Error);
}

INSTANTIATE_TEST_SUITE_P(Grids, WindAxes, testing::Values(europe, rotated));

}  // namespace
}  // namespace zonda
