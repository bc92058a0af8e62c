// Winds between grids: vectors, not two scalars.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.hpp"
#include "ingest/regrid/regridder.hpp"
#include "smooth_fields.hpp"

namespace {

using namespace zonda;
using namespace zonda::regrid_test;
using ingest::Regridder;
using ingest::RegridMethod;

/// A uniform flow over the North Pole towards 30 E, and solid-body rotation about a tilted axis: smooth vector fields
/// whose components are not smooth at the poles.
struct Wind {
  std::vector<float> u, v;
};

Wind tilted_rotation(const Grid& grid) {
  constexpr double speed = 40, tilt = 70 * degree;
  Wind wind;
  for (const double latitude : grid.latitudes()) {
    for (const double longitude : grid.longitudes()) {
      // Williamson et al. (1992), case 1.
      const double lat = latitude * degree, lon = longitude * degree;
      wind.u.push_back(static_cast<float>(
          speed * (std::cos(lat) * std::cos(tilt) + std::sin(lat) * std::cos(lon) * std::sin(tilt))));
      wind.v.push_back(static_cast<float>(-speed * std::sin(lon) * std::sin(tilt)));
    }
  }
  return wind;
}

double worst_error(const Grid& source, const Grid& target, RegridMethod method, bool as_vectors) {
  const Wind in = tilted_rotation(source), wanted = tilted_rotation(target);
  Wind out{std::vector<float>(target.size()), std::vector<float>(target.size())};
  const Regridder regridder(source, target, method);
  if (as_vectors) {
    regridder.apply_wind(in.u, in.v, out.u, out.v);
  } else {
    regridder.apply(in.u, out.u);
    regridder.apply(in.v, out.v);
  }
  double worst = 0;
  for (std::size_t k = 0; k < target.size(); ++k) {
    worst = std::max(
        worst, std::hypot(static_cast<double>(out.u[k] - wanted.u[k]), static_cast<double>(out.v[k] - wanted.v[k])));
  }
  return worst;
}

TEST(WindRegridding, RotationOverThePolesIsKept) {
  const Grid source = Grid::latlon(90, 180, false);
  for (const Grid& target : {Grid::latlon(61, 120, true), Grid::gaussian(64, 128), Grid::latlon(180, 360, false)}) {
    EXPECT_LT(worst_error(source, target, RegridMethod::bilinear, true), 0.02) << target.to_string();  // of 40 m/s
  }
}

TEST(WindRegridding, ComponentsOnTheirOwnAreWrongAtThePoles) {
  // The mean of u over the polar row is zero, whatever blows over the pole.
  const Grid source = Grid::latlon(90, 180, false), target = Grid::latlon(61, 120, true);
  EXPECT_GT(worst_error(source, target, RegridMethod::bilinear, false), 30);
}

TEST(WindRegridding, ConvergesAtSecondOrderAlsoAtThePoles) {
  const Grid target = Grid::latlon(61, 120, true, 0.3);
  const double coarse = worst_error(Grid::latlon(90, 180, false), target, RegridMethod::bilinear, true);
  const double fine = worst_error(Grid::latlon(360, 720, false), target, RegridMethod::bilinear, true);
  EXPECT_GT(std::log2(coarse / fine) / 2, 1.8);
}

TEST(WindRegridding, TheSameGridGivesTheSameBits) {
  const Grid grid = Grid::gaussian(16, 32);
  const Wind in = tilted_rotation(grid);
  Wind out{std::vector<float>(grid.size()), std::vector<float>(grid.size())};
  Regridder(grid, grid, RegridMethod::conservative).apply_wind(in.u, in.v, out.u, out.v);
  EXPECT_EQ(in.u, out.u);
  EXPECT_EQ(in.v, out.v);
}

TEST(WindRegridding, AVectorIsMissingWhereEitherComponentIs) {
  const Grid source = Grid::latlon(36, 72, false), target = Grid::latlon(18, 36, false, 2.5);
  Wind in = tilted_rotation(source);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  in.u[10 * 72 + 12] = in.u[10 * 72 + 13] = in.v[11 * 72 + 12] = nan;
  Wind out{std::vector<float>(target.size()), std::vector<float>(target.size())};
  Regridder(source, target, RegridMethod::conservative).apply_wind(in.u, in.v, out.u, out.v);
  for (std::size_t k = 0; k < target.size(); ++k) {
    EXPECT_EQ(std::isnan(out.u[k]), k == 5 * 36 + 6);
    EXPECT_EQ(std::isnan(out.v[k]), k == 5 * 36 + 6);
  }
}

TEST(WindRegridding, TheSameBitsOnAnyNumberOfThreads) {
  const Grid source = Grid::latlon(46, 90, true), target = Grid::gaussian(32, 64);
  const Wind in = tilted_rotation(source);
  for (const RegridMethod method : {RegridMethod::bilinear, RegridMethod::conservative}) {
    const Regridder regridder(source, target, method);
    Wind one{std::vector<float>(target.size()), std::vector<float>(target.size())}, many = one;
    regridder.apply_wind(in.u, in.v, one.u, one.v);
    regridder.apply_wind(in.u, in.v, many.u, many.v, 5);
    EXPECT_EQ(std::memcmp(one.u.data(), many.u.data(), one.u.size() * sizeof(float)), 0);
    EXPECT_EQ(std::memcmp(one.v.data(), many.v.data(), one.v.size() * sizeof(float)), 0);
  }
}

TEST(WindRegridding, RowsOnTheirOwnHaveTheBitsOfTheWhole) {
  const Grid source = Grid::latlon(46, 90, true);
  Wind in = tilted_rotation(source);
  in.u[7 * 90 + 4] = in.v[45 * 90 + 80] = std::numeric_limits<float>::quiet_NaN();
  for (const Grid& target : {Grid::gaussian(32, 64), Grid::latlon(61, 120, true), source}) {
    for (const RegridMethod method :
         {RegridMethod::nearest, RegridMethod::bilinear, RegridMethod::conservative, RegridMethod::conservative2}) {
      const Regridder regridder(source, target, method);
      Wind whole{std::vector<float>(target.size()), std::vector<float>(target.size())}, rows = whole;
      regridder.apply_wind(in.u, in.v, whole.u, whole.v);
      for (std::size_t cut = 0; cut < target.nlat(); cut += 9) {
        const ingest::Rows wanted{cut, std::min(cut + 9, target.nlat())}, needed = regridder.source_rows(wanted);
        EXPECT_LE(needed.size(), 9 * 46 / target.nlat() + 4) << to_string(method);
        const auto part = [&](const std::vector<float>& field) {
          return std::span(field).subspan(needed.begin * 90, needed.size() * 90);
        };
        const std::size_t first = wanted.begin * target.nlon(), count = wanted.size() * target.nlon();
        regridder.apply_wind_rows(wanted, part(in.u), part(in.v), std::span(rows.u).subspan(first, count),
                                  std::span(rows.v).subspan(first, count));
      }
      EXPECT_EQ(std::memcmp(whole.u.data(), rows.u.data(), whole.u.size() * sizeof(float)), 0) << to_string(method);
      EXPECT_EQ(std::memcmp(whole.v.data(), rows.v.data(), whole.v.size() * sizeof(float)), 0) << to_string(method);
    }
  }
}

TEST(WindRegridding, ComponentsOfDifferentSizeAreAnError) {
  const Grid source = Grid::latlon(19, 36, true), target = Grid::latlon(7, 12, true);
  std::vector<float> u(source.size()), v(2 * source.size()), out(target.size()), other(target.size());
  const Regridder regridder(source, target, RegridMethod::bilinear);
  EXPECT_THROW(regridder.apply_wind(u, v, out, other), Error);
  EXPECT_THROW(regridder.apply_wind_rows({0, 7}, u, v, out, other), Error);
}

}  // namespace
