// Operators on a gridded atmosphere: the generic suite on every variable and kind of levels, and values known
// otherwise.
#include "assimilation/observations/atmosphere_operator.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "assimilation/observations/horizontal_stencil.hpp"
#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/humidity.hpp"
#include "core/standard_atmosphere.hpp"
#include "differential_checks.hpp"

namespace zonda::assimilation {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();
constexpr double r_dry = constants::gas_constant_dry_air, g = constants::gravity;

const Vector sigma{0.1, 0.3, 0.5, 0.7, 0.85, 0.97};

Vector hills(const Grid& grid) {
  Vector heights(grid.size());
  for (std::size_t i = 0; i < heights.size(); ++i) heights[i] = 300 + 250 * std::sin(0.7 * static_cast<double>(i));
  return heights;
}

AtmosphereLayout sigma_state(const char* surface = "sp") {
  const Grid grid = Grid::gaussian(8, 16);
  const std::vector<std::string> upper{"t", "u", "v", "q"}, ground{surface};
  return sigma_layout(grid, upper, sigma, ground, hills(grid));
}

AtmosphereLayout pressure_state(bool global = true) {
  const Grid grid = global ? Grid::latlon(9, 12, true) : Grid::regional(60, 30, 7, 350, 20, 7);
  std::vector<Channel> channels;
  for (const char* variable : {"z", "t", "u", "v", "q"})
    for (const int level : {200, 1000, 500, 850}) channels.push_back({variable, level});
  for (const char* variable : {"msl", "2t", "2d", "10u", "10v"}) channels.push_back({variable, 0});
  if (global) channels.push_back({"sst", 0});
  return channel_layout(grid, channels, hills(grid));
}

struct Scale {
  double mean, deviation;
};
Scale scale_of(const LaidField& field, std::size_t level) {
  const double down = field.upper_air() ? (field.a[level] + 1e5 * field.b[level]) / 1e5 : 1;
  if (field.variable == "z") return {-r_dry * 260 * std::log(down), 200};
  if (field.variable == "t") return {220 + 70 * down, 2};
  if (field.variable == "q") return {1e-2 * down * down, 1e-4};
  if (field.variable == "sp") return {9.8e4, 300};
  if (field.variable == "lnsp") return {std::log(9.8e4), 3e-3};
  if (field.variable == "msl") return {1.01e5, 300};
  if (field.variable == "2t" || field.variable == "sst") return {288, 2};
  if (field.variable == "2d") return {282, 2};
  return {10, 3};
}

/// [state] mean and standard deviation of each number.
std::pair<Vector, Vector> climate(const AtmosphereLayout& layout) {
  Vector mean(layout.state_size()), deviation(layout.state_size());
  for (std::size_t s = 0; s < layout.slots; ++s)
    for (const LaidField& field : layout.fields)
      for (std::size_t k = 0; k < field.offset.size(); ++k)
        for (std::size_t i = 0; i < layout.grid.size(); ++i) {
          const std::size_t at = s * layout.slot_size + field.offset[k] + i;
          mean[at] = scale_of(field, k).mean;
          deviation[at] = scale_of(field, k).deviation;
        }
  return {mean, deviation};
}

std::vector<AtmosphericObservation> everywhere(const std::string& variable, bool global, double slot = 0) {
  std::vector<AtmosphericObservation> observations;
  const std::vector<std::pair<double, double>> places =
      global ? std::vector<std::pair<double, double>>{{51.3, 4.2}, {-89.5, 33}, {88, 359.9}, {0, 180}, {-30, 271}}
             : std::vector<std::pair<double, double>>{{51.3, 4.2}, {30, 350}, {60, 20}, {45.5, 359.99}};
  double p = 21000;
  for (const auto& [lat, lon] : places) {
    observations.push_back({variable, {lat, lon, p, 420, 20500, slot}});
    p += 15500;
  }
  return observations;
}

struct Case {
  std::string name, variable;
  AtmosphereLayout layout;
  bool global = true;
  double slot = 0;
};

/// What models of few levels hold: pressure levels, and the ground's pressure besides.
AtmosphereLayout pressure_state_with_ground() {
  const Grid grid = Grid::latlon(9, 12, true);
  std::vector<Channel> channels;
  for (const char* variable : {"z", "t"})
    for (const int level : {850, 500, 200}) channels.push_back({variable, level});
  channels.push_back({"sp", 0});
  return channel_layout(grid, channels, hills(grid));
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* variable : {"t", "u", "v", "q", "r", "sp", "msl", "2t", "2d", "10u", "10v", "thickness"})
    all.push_back({std::string("sigma_") + variable, variable, sigma_state()});
  all.push_back({"sigma_ln_sp", "sp", sigma_state("lnsp")});
  all.push_back({"sigma_ln_r", "r", sigma_state("lnsp")});
  for (const char* variable : {"z", "t", "u", "v", "q", "r", "sp", "msl", "2t", "2d", "10u", "10v", "sst", "thickness"})
    all.push_back({std::string("pressure_") + variable, variable, pressure_state()});
  for (const char* variable : {"sp", "msl"})
    all.push_back({std::string("pressure_and_ground_") + variable, variable, pressure_state_with_ground()});
  all.push_back({"region_u", "u", pressure_state(false), false});
  AtmosphereLayout slots = sigma_state();
  slots.slots = 3;
  all.push_back({"time_r", "r", slots, true, 1.25});
  return all;
}

class EveryAtmosphereOperator : public testing::TestWithParam<Case> {
 protected:
  /// On a state of normal numbers: x = mean + deviation n.
  static DifferentiableMap map() {
    const Case& c = GetParam();
    const auto observations = everywhere(c.variable, c.global, c.slot);
    const auto h = std::make_shared<AtmosphereOperator>(c.layout, observations);
    const auto [mean, deviation] = climate(c.layout);
    const Vector normal = random_vector(h->state_size(), 0, 1);
    const auto scaled = [deviation = deviation](ConstView x) {
      Vector y(x.begin(), x.end());
      for (std::size_t i = 0; i < y.size(); ++i) y[i] *= deviation[i];
      return y;
    };
    const auto state_of = [mean = mean, scaled](ConstView x) {
      Vector y = scaled(x);
      axpy(1, mean, y);
      return y;
    };
    const Vector at = state_of(normal);
    return {h->state_size(),
            h->size(),
            normal,
            1,
            [=](ConstView x) {
              Vector y(h->size(), 99);
              h->apply(state_of(x), y);
              return y;
            },
            [=](ConstView x) {
              Vector y(h->size(), 99);
              h->tangent(at, scaled(x), y);
              return y;
            },
            [=](ConstView y) {
              Vector x(h->state_size(), 99);
              h->adjoint(at, y, x);
              return scaled(x);
            }};
  }
};

TEST_P(EveryAtmosphereOperator, zero_stays_zero) {
  check_zero_stays_zero(map());
}
TEST_P(EveryAtmosphereOperator, has_linear_derivatives) {
  check_linearity(map());
}
TEST_P(EveryAtmosphereOperator, has_a_tangent_of_first_order) {
  check_tangent(map());
}
TEST_P(EveryAtmosphereOperator, has_the_adjoint_of_its_tangent) {
  check_adjoint(map());
}

INSTANTIATE_TEST_SUITE_P(assimilation, EveryAtmosphereOperator, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

double observe(const AtmosphereLayout& layout, const Vector& state, const std::string& variable,
               const ObservedPoint& point) {
  const std::vector<AtmosphericObservation> one{{variable, point}};
  Vector value(1);
  AtmosphereOperator(layout, one).apply(state, value);
  return value[0];
}

TEST(HorizontalStencil, is_exact_for_bilinear_fields_across_seams_and_to_the_edges) {
  const Grid world = Grid::latlon(19, 36, true), region = Grid::regional(60, 30, 7, 350, 20, 7);
  const auto value = [](const Grid& grid, double latitude, double longitude) {
    const auto at = horizontal_stencil(grid, latitude, longitude);
    EXPECT_TRUE(at);
    double sum = 0;
    for (std::size_t c = 0; at && c < 4; ++c) {
      const double lat = grid.latitudes()[at->index[c] / grid.nlon()];
      double lon = grid.longitudes()[at->index[c] % grid.nlon()];
      if (lon > longitude + 180) lon -= 360;
      if (lon < longitude - 180) lon += 360;
      sum += at->weight[c] * (2 * lat - 3 * lon);
    }
    return sum;
  };
  for (const auto& [lat, lon] : std::vector<std::pair<double, double>>{{3.3, 44.4}, {-89, 359.5}, {90, 10}, {-90, 0}})
    EXPECT_NEAR(value(world, lat, lon), 2 * lat - 3 * lon, 1e-10) << lat << ' ' << lon;
  for (const auto& [lat, lon] : std::vector<std::pair<double, double>>{{45, 359.5}, {60, 350}, {30, 20}, {31, 0.5}})
    EXPECT_NEAR(value(region, lat, lon), 2 * lat - 3 * lon, 1e-10) << lat << ' ' << lon;
  EXPECT_FALSE(horizontal_stencil(region, 61, 0));
  EXPECT_FALSE(horizontal_stencil(region, 45, 349));
  EXPECT_FALSE(horizontal_stencil(region, 45, 21));
  EXPECT_FALSE(horizontal_stencil(world, none, 0));
}

TEST(HorizontalStencil, carries_winds_over_the_pole) {
  const Grid grid = Grid::gaussian(32, 64);
  const std::vector<Channel> channels{{"u", 500}, {"v", 500}, {"u", 600}, {"v", 600}};
  const AtmosphereLayout layout = channel_layout(grid, channels);
  Vector state(layout.state_size());
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const double lon = grid.longitudes()[i % 64] * constants::pi / 180;
    for (const std::size_t level : {0, 2}) {
      state[level * grid.size() + i] = -10 * std::sin(lon);  // 10 m/s along longitude 0, over the north pole
      state[(level + 1) * grid.size() + i] = -10 * std::cos(lon);
    }
  }
  for (const double lon : {3.0, 100.0, 271.0}) {
    const ObservedPoint point{89.9, lon, 55000, none, none};
    EXPECT_NEAR(observe(layout, state, "u", point), -10 * std::sin(lon * constants::pi / 180), 0.02);
    EXPECT_NEAR(observe(layout, state, "v", point), -10 * std::cos(lon * constants::pi / 180), 0.02);
  }
}

TEST(ColumnOperators, agree_with_the_standard_atmosphere) {
  // 288.15 K at sea level, 6.5 K/km: 898.746 hPa at 1000 m (ICAO Doc 7488).
  const Grid grid = Grid::latlon(5, 8, true);
  const std::vector<Channel> channels{{"sp", 0}, {"2t", 0}};
  const AtmosphereLayout layout = channel_layout(grid, channels);
  Vector state(layout.state_size(), 101325);
  std::fill(state.begin() + static_cast<std::ptrdiff_t>(grid.size()), state.end(), 288.15);
  const ObservedPoint hill{40, 10, none, 1000, none};
  EXPECT_NEAR(observe(layout, state, "sp", hill), 89874.6, 4);
  EXPECT_NEAR(observe(layout, state, "2t", hill), 281.65, 1e-10);

  std::vector<Channel> heights;
  for (int level = 100; level <= 1000; level += 25) heights.push_back({"z", level});
  const AtmosphereLayout on_pressure = channel_layout(grid, heights);
  Vector z(on_pressure.state_size());
  for (std::size_t c = 0; c < heights.size(); ++c) {
    double height = 0;  // where the standard pressure is that of the level
    for (int iteration = 0; iteration < 50; ++iteration)
      height += 8000 * std::log(standard_pressure(height) / (100.0 * heights[c].level_hpa));
    std::fill_n(z.begin() + static_cast<std::ptrdiff_t>(c * grid.size()), grid.size(), g * height);
  }
  EXPECT_NEAR(observe(on_pressure, z, "sp", hill), 89874.6, 10);
  EXPECT_NEAR(observe(on_pressure, z, "msl", hill), 101325, 10);
}

TEST(ColumnOperators, read_the_ground_pressure_that_the_state_holds) {
  AtmosphereLayout layout = pressure_state_with_ground();
  std::fill(layout.orography.begin(), layout.orography.end(), 0);
  Vector state = climate(layout).first;
  const std::size_t ground = layout.find("sp")->offset[0];
  const ObservedPoint sea{10, 20, none, 0, none};
  EXPECT_NEAR(observe(layout, state, "sp", sea), 9.8e4, 1e-8);
  std::fill_n(state.begin() + static_cast<std::ptrdiff_t>(ground), layout.grid.size(), 101325.0);
  EXPECT_NEAR(observe(layout, state, "sp", sea), 101325, 1e-8) << "geopotential did not change with it";
  // On a hill, with 288.15 K at the ground: as in the standard atmosphere.
  const auto& t = *layout.find("t");
  for (std::size_t k = 0; k < t.offset.size(); ++k)
    std::fill_n(state.begin() + static_cast<std::ptrdiff_t>(t.offset[k]), layout.grid.size(),
                288.15 * std::pow(t.a[k] / 101325, r_dry * 0.0065 / g));
  EXPECT_NEAR(observe(layout, state, "sp", {10, 20, none, 1000, none}), 89874.6, 4);
}

TEST(ColumnOperators, bring_the_lowest_level_to_the_ground) {
  AtmosphereLayout layout = sigma_state();
  std::fill(layout.orography.begin(), layout.orography.end(), 0);
  const auto [mean, deviation] = climate(layout);
  Vector state = mean;
  const LaidField& t = *layout.find("t");
  const double ground = 288.15;
  // On a profile of 6.5 K/km from the ground the operators find the ground's temperature again.
  for (std::size_t k = 0; k < sigma.size(); ++k)
    std::fill_n(state.begin() + static_cast<std::ptrdiff_t>(t.offset[k]), layout.grid.size(),
                ground * std::pow(sigma[k], r_dry * 0.0065 / g));
  EXPECT_NEAR(observe(layout, state, "2t", {10, 20, none, 0, none}), ground, 1e-10);
  EXPECT_NEAR(observe(layout, state, "sp", {10, 20, none, 0, none}), 9.8e4, 1e-8);
  const double e = vapour_pressure(1e-2 * 0.97 * 0.97, 9.8e4);
  EXPECT_NEAR(observe(layout, state, "2d", {10, 20, none, 0, none}), dew_point(e), 1e-10);
  const double u10 = observe(layout, state, "10u", {10, 20, none, 0, none});
  EXPECT_GT(u10, 0.6 * 10);  // the profile slows the wind of 250 m to between a half and all of it
  EXPECT_LT(u10, 10);
}

TEST(ColumnOperators, give_humidity_and_thickness_as_defined) {
  const Grid grid = Grid::latlon(5, 8, true);
  const std::vector<Channel> channels{{"t", 1000}, {"t", 500}, {"q", 1000}, {"q", 500}};
  const AtmosphereLayout layout = channel_layout(grid, channels);
  const std::size_t n = grid.size();
  Vector state(layout.state_size());
  const double saturated = specific_humidity(saturation_vapour_pressure(290), 7e4);
  std::fill_n(state.begin(), 2 * n, 290);
  std::fill(state.begin() + static_cast<std::ptrdiff_t>(2 * n), state.end(), saturated);
  EXPECT_NEAR(observe(layout, state, "r", {0, 0, 7e4, none, none}), 100, 1e-9);
  std::fill(state.begin() + static_cast<std::ptrdiff_t>(2 * n), state.end(), 0);
  EXPECT_NEAR(observe(layout, state, "thickness", {0, 0, 1e5, none, 5e4}), r_dry * 290 * std::log(2.0), 1e-8);
  EXPECT_NEAR(observe(layout, state, "thickness", {0, 0, 9e4, none, 6e4}), r_dry * 290 * std::log(1.5), 1e-8);
  // 2.5 K of virtual temperature for each 0.014 kg/kg at 290 K, less a little
  std::fill(state.begin() + static_cast<std::ptrdiff_t>(2 * n), state.end(), 0.014);
  EXPECT_NEAR(observe(layout, state, "thickness", {0, 0, 1e5, none, 5e4}), r_dry * 292.47 * std::log(2.0), 2);
}

TEST(AtmosphereOperator, is_linear_between_time_slots) {
  AtmosphereLayout layout = pressure_state();
  layout.slots = 2;
  Vector state(layout.state_size(), 4);
  std::fill(state.begin() + static_cast<std::ptrdiff_t>(layout.slot_size), state.end(), 8);
  for (const double slot : {0.0, 0.25, 1.0})
    EXPECT_NEAR(observe(layout, state, "t", {12, 34, 5e4, none, none, slot}), 4 + 4 * slot, 1e-12);
}

TEST(AtmosphereOperator, refuses_what_the_state_does_not_cover) {
  const AtmosphereLayout layout = pressure_state(false);
  const auto refusal = [&](const char* variable, const ObservedPoint& point) -> std::string {
    try {
      observe(layout, Vector(layout.state_size(), 1), variable, point);
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  };
  EXPECT_EQ(refusal("t", {70, 0, 5e4, none, none}), "observation 0 (t at 70 N, 0 E, 500 hPa): outside the grid");
  EXPECT_EQ(refusal("t", {45, 0, 1e4, none, none}),
            "observation 0 (t at 45 N, 0 E, 100 hPa): outside the state's levels, or without the height that it needs");
  EXPECT_EQ(refusal("t", {45, 0, 5e4, none, none, 1}),
            "observation 0 (t at 45 N, 0 E, 500 hPa): outside the state's times");
  EXPECT_EQ(refusal("w", {45, 0, 5e4, none, none}).substr(0, 29), "unknown observed variable 'w'");
  EXPECT_EQ(refusal("sst", {45, 0, 5e4, none, none}), "'sst' cannot be observed in this state: it needs sst");
  const std::vector<AtmosphericObservation> some{{"t", {45, 0, 5e4, none, none}},
                                                 {"t", {70, 0, 5e4, none, none}},
                                                 {"sst", {45, 0, none, none, none}},
                                                 {"sp", {45, 0, none, none, none}},
                                                 {"sp", {45, 0, none, 200, none}}};
  EXPECT_EQ(covered(layout, some), (std::vector<bool>{true, false, false, false, true}));
}

}  // namespace
}  // namespace zonda::assimilation
