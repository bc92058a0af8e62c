#include "ingest/regrid/region_regridder.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::ingest {
namespace {

using Method = RegionRegridder::Method;
constexpr double radian = constants::pi / 180;
const char* const plane = " +proj=lcc +lat_1=35 +lat_2=65 +lat_0=50 +lon_0=10";
const Grid fine = Grid::parse(std::string("projected 600000..-600000x25 -700000..700000x29") + plane);
const Grid coarse = Grid::parse(std::string("projected 1600000..-1600000x9 -2000000..2000000x11") + plane);

TEST(RegionRegridder, takes_means_where_the_regions_cells_are_the_larger_ones) {
  EXPECT_EQ(RegionRegridder(Grid::latlon(60, 120, false), fine, "host").method(), Method::bilinear);
  EXPECT_EQ(RegionRegridder(Grid::latlon(180, 360, false), coarse, "host").method(), Method::conservative);
  const Grid host = Grid::gaussian(24, 48);
  EXPECT_EQ(RegionRegridder(host, host.sub_grid(host.window(70, 20, 330, 40)), "host").method(), Method::window);
}

TEST(RegionRegridder, bilinear_is_exact_for_what_is_linear_in_latitude_and_longitude) {
  const Grid host = Grid::latlon(60, 120, false);
  const auto linear = [](const GeographicPoint& p) { return 3 * p.latitude - 2 * std::remainder(p.longitude, 360.0); };
  std::vector<float> field, found(fine.size());
  for (std::size_t cell = 0; cell < host.size(); ++cell) field.push_back(static_cast<float>(linear(host.centre(cell))));
  RegionRegridder(host, fine, "host").scalar(field, found);
  for (std::size_t cell = 0; cell < fine.size(); ++cell) EXPECT_NEAR(found[cell], linear(fine.centre(cell)), 2e-4);
}

TEST(RegionRegridder, means_conserve_every_cell_of_the_host_that_is_inside) {
  const Grid host = Grid::latlon(180, 360, false);
  const RegionRegridder regridder(host, coarse, "host");
  std::map<std::uint32_t, double> given;
  for (std::size_t cell = 0; cell < coarse.size(); ++cell) {
    double sum = 0;
    for (const auto& [from, weight] : regridder.shares(cell)) {
      given[from] += weight * coarse.area(cell);
      sum += weight;
    }
    EXPECT_NEAR(sum, 1, 1e-12);
  }
  std::size_t inside = 0;
  for (const auto& [from, area] : given) {
    const GeographicPoint p = host.centre(from);
    bool interior = true;  // all corners well within the region
    for (const double dy : {-0.5, 0.5})
      for (const double dx : {-0.5, 0.5}) {
        const auto at = coarse.place({p.latitude + dy, p.longitude + dx});
        interior = interior && at && at->row > -0.45 && at->row < 8.45 && at->column > -0.45 && at->column < 10.45;
      }
    if (!interior) continue;
    ++inside;
    EXPECT_NEAR(area / host.cell_area(from / 360), 1, 2e-4) << p.latitude << ' ' << p.longitude;
  }
  EXPECT_GT(inside, 1500U);
  double total = 0, all = 0;
  for (const auto& [from, area] : given) total += area;
  for (std::size_t cell = 0; cell < coarse.size(); ++cell) all += coarse.area(cell);
  EXPECT_NEAR(total / all, 1, 1e-12);
}

TEST(RegionRegridder, winds_of_a_rigid_rotation_stay_what_they_are) {
  // Around an axis in the equatorial plane, so that the components turn everywhere, at the poles too.
  const auto u = [](const GeographicPoint& p) {
    return 10 * std::sin(p.latitude * radian) * std::cos(p.longitude * radian);
  };
  const auto v = [](const GeographicPoint& p) { return -10 * std::sin(p.longitude * radian); };
  const Grid host = Grid::gaussian(160, 320);
  const Grid arctic = Grid::parse("projected 400000..-400000x21 -400000..400000x21 +proj=stere +lat_0=90 +lon_0=0");
  std::vector<float> host_u, host_v;
  for (std::size_t cell = 0; cell < host.size(); ++cell) {
    host_u.push_back(static_cast<float>(u(host.centre(cell))));
    host_v.push_back(static_cast<float>(v(host.centre(cell))));
  }
  for (const Grid* region : {&fine, &arctic}) {
    std::vector<float> found_u(region->size()), found_v(region->size());
    RegionRegridder(host, *region, "host", Method::bilinear).wind(host_u, host_v, found_u, found_v);
    for (std::size_t cell = 0; cell < region->size(); ++cell) {
      const GeographicPoint p = region->centre(cell);
      if (p.latitude > 89.999) continue;  // the pole itself has no east
      EXPECT_NEAR(found_u[cell], u(p), 3e-3) << p.latitude << ' ' << p.longitude;
      EXPECT_NEAR(found_v[cell], v(p), 3e-3) << p.latitude << ' ' << p.longitude;
    }
  }
}

TEST(RegionRegridder, parts_of_the_grid_are_taken_bit_by_bit) {
  const Grid host = Grid::gaussian(24, 48);
  const auto window = host.window(70, 20, 330, 40);
  const Grid region = host.sub_grid(window);
  std::vector<float> field(2 * host.size()), found(2 * region.size());
  for (std::size_t i = 0; i < field.size(); ++i) field[i] = static_cast<float>(std::sin(static_cast<double>(i)));
  RegionRegridder(host, region, "host").state({}, field, found);
  for (std::size_t c = 0; c < 2; ++c)
    for (std::size_t i = 0; i < region.size(); ++i) {
      const std::size_t row = window.first_row + i / region.nlon(),
                        column = (window.first_column + i % region.nlon()) % 48;
      ASSERT_EQ(found[c * region.size() + i], field[c * host.size() + row * 48 + column]);
    }
  EXPECT_THROW(RegionRegridder(Grid::gaussian(32, 64), region, "host"), Error);
}

TEST(RegionRegridder, a_region_beyond_its_host_is_refused) {
  const Grid host = Grid::regional(60, 40, 21, 0, 20, 21);
  for (const Method method : {Method::bilinear, Method::conservative})
    EXPECT_THROW(RegionRegridder(host, fine, "host", method), Error);
  EXPECT_THROW(RegionRegridder(fine, fine, "host"), Error);
  const Grid arctic = Grid::parse("projected 9e5..-9e5x3 -9e5..9e5x3 +proj=stere +lat_0=90");
  EXPECT_THROW(RegionRegridder(Grid::latlon(180, 360, false), arctic, "host", Method::conservative), Error);
}

}  // namespace
}  // namespace zonda::ingest
