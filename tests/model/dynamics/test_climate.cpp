// Published experiments: the baroclinic wave of Jablonowski & Williamson (2006) and the climate of Held & Suarez
// (1994).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "core/constants.hpp"
#include "model/dynamics/initial_state.hpp"
#include "model/dynamics/primitive_equations.hpp"
#include "model/dynamics/spectral_wind.hpp"

namespace zonda::model {
namespace {

/// The 26 levels of the paper (table B1, hybrid coefficients added), closed at the top.
const std::vector<double> paper_levels{
    0,          0.00489521, 0.00988242, 0.01805201, 0.02983724, 0.04462334, 0.06160587, 0.07851243, 0.0923658,
    0.10866359, 0.12783708, 0.15039371, 0.17693043, 0.20814944, 0.2448771,  0.28808522, 0.3389173,  0.39861865,
    0.4690718,  0.5518387,  0.6492096,  0.7443829,  0.8310212,  0.9033003,  0.9559975,  0.9851122,  1};

/// Lowest surface pressure of days 0 ... 9, hPa; time steps and diffusion of the paper's Eulerian spectral model (its
/// table 3).
std::vector<double> lowest_pressure(int truncation, double time_step, double diffusion) {
  CoreParameters p;
  p.truncation = truncation;
  p.levels = SigmaLevels(paper_levels);
  p.time_step = time_step;
  p.threads = 1;  // two would wait for each other wherever another test runs beside
  p.diffusion_order = 4;
  const double smallest = truncation * (truncation + 1) / (constants::earth_radius * constants::earth_radius);
  p.diffusion_time = 1 / (diffusion * smallest * smallest);
  const SphericalTransform transform(truncation);
  JablonowskiWilliamson jet = jablonowski_williamson(transform, p.levels, true, false);
  PrimitiveEquations model(p, jet.surface_geopotential);
  model.start(std::move(jet.state), Time{});
  std::vector<double> lowest, grid(std::size_t(transform.nlat() * transform.nlon()));
  for (int day = 0; day <= 9; ++day) {
    transform.synthesise(1, model.present().log_pressure, grid);
    lowest.push_back(1000 * std::exp(*std::min_element(grid.begin(), grid.end())));
    if (day < 9)
      for (int i = 0; i < int(86400 / time_step); ++i) model.step();
  }
  std::printf("baroclinic wave T%d: lowest surface pressure on day 5, 7, 8, 9: %.2f %.2f %.2f %.2f hPa\n", truncation,
              lowest[5], lowest[7], lowest[8], lowest[9]);
  std::fflush(stdout);
  return lowest;
}

TEST(BaroclinicWave, GrowsAndConverges) {
  const auto t42 = lowest_pressure(42, 1200, 1e16), t85 = lowest_pressure(85, 600, 1e15),
             t106 = lowest_pressure(106, 450, 5e14);
  EXPECT_NEAR(t106[9], 943, 3);  // the paper's models reach about 940 to 945 hPa
  EXPECT_LT(std::abs(t85[9] - t106[9]), 1.5);
  EXPECT_GT(std::abs(t42[9] - t106[9]), 4 * std::abs(t85[9] - t106[9]));
  EXPECT_NEAR(t106[5], 996.8, 0.5);
}

TEST(HeldSuarezClimate, HasItsJets) {
  CoreParameters p;
  p.truncation = 42;
  p.levels = SigmaLevels(20);
  p.time_step = 1200;
  p.threads = 1;
  p.forcing = HeldSuarez{};
  const SphericalTransform transform(42);
  const SpectralIndex& index = transform.index();
  const std::size_t L = 20, rows = std::size_t(transform.nlat()), columns = std::size_t(transform.nlon());
  std::vector<double> flat(index.size() * 2, 0.0);
  SpectralState state = rest_state(transform, p.levels, flat, false);
  add_noise(index, 20, 1, 1, 0, state);
  PrimitiveEquations model(p, flat);
  model.start(std::move(state), parse_time("2000-01-01"));
  const int spinup = 200, days = 400;
  std::vector<double> u(rows * L, 0.0), t(rows * L, 0.0);
  for (int day = 0; day < spinup + days; ++day) {
    for (int i = 0; i < 72; ++i) model.step();
    if (day < spinup) continue;
    const SpectralState now = model.present();
    // zonal means: the coefficients of m = 0 alone
    std::vector<double> spectral(2 * L * index.size() * 2, 0.0), grid(2 * L * rows * columns);
    for (int n = 0; n <= 43; ++n) {
      std::vector<double> wind(2 * L), cross(2 * L);
      wind_coefficients(index, 0, n, L, now.vorticity.data(), now.divergence.data(), wind.data(), cross.data(), L);
      const std::size_t c = index(0, n);
      for (std::size_t k = 0; k < L; ++k) {
        spectral[(k * index.size() + c) * 2] = wind[k];
        spectral[((L + k) * index.size() + c) * 2] = now.temperature[c * 2 * L + k];
      }
    }
    transform.synthesise(2 * L, spectral, grid);
    for (std::size_t k = 0; k < L; ++k)
      for (std::size_t row = 0; row < rows; ++row) {
        u[row * L + k] += grid[(k * rows + row) * columns] / std::sqrt(1 - std::pow(transform.sines()[row], 2)) / days;
        t[row * L + k] += (grid[((L + k) * rows + row) * columns] + reference_temperature) / days;
      }
  }
  for (const bool north : {true, false}) {
    double jet = 0, latitude = 0, sigma = 0, easterly = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      if ((transform.sines()[row] > 0) != north) continue;
      for (std::size_t k = 0; k < L; ++k) {
        if (p.levels.full()[k] > 0.1 && u[row * L + k] > jet) {
          jet = u[row * L + k];
          latitude = std::asin(transform.sines()[row]) * 180 / constants::pi;
          sigma = p.levels.full()[k];
        }
      }
      easterly = std::min(easterly, u[row * L + L - 1]);
    }
    std::printf(
        "Held-Suarez T42L20, days 200 to 600: jet %.1f m/s at %.1f degrees, sigma %.3f; surface easterlies %.1f m/s\n",
        jet, latitude, sigma, easterly);
    EXPECT_NEAR(jet, 30, 4);
    EXPECT_NEAR(std::abs(latitude), 45, 6);
    EXPECT_NEAR(sigma, 0.25, 0.07);
    EXPECT_LT(easterly, -4);
  }
  // the published temperatures: near 303 K at the equator's ground, 190 to 200 K at the tropical tropopause
  EXPECT_NEAR(t[(rows / 2) * L + L - 1], 300, 8);
}

}  // namespace
}  // namespace zonda::model
