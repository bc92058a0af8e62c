#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "model/dynamics/semi_implicit.hpp"

namespace zonda::model {
namespace {

TEST(SigmaLevels, IsothermalGeopotentialIsTheLogarithm) {
  const SigmaLevels levels(13);
  const std::vector<double> temperature(13, 250.0);
  std::vector<double> geopotential(13);
  levels.hydrostatic(temperature, geopotential);
  for (std::size_t k = 0; k < 13; ++k)
    EXPECT_NEAR(geopotential[k], -constants::gas_constant_dry_air * 250 * std::log(levels.full()[k]), 1e-8);
}

TEST(SigmaLevels, RefusesUnorderedHalfLevels) {
  EXPECT_THROW(SigmaLevels(std::vector<double>{0, 0.6, 0.5, 1}), Error);
  EXPECT_THROW(SigmaLevels(std::vector<double>{0, 0.5, 0.9}), Error);
}

// Energy consistency of Simmons & Burridge: the pressure work of any divergence equals the heating it makes,
// sum thickness D (G T + R T0 p) dsigma = sum thickness T cp / T0 tau D ... for the reference system.
TEST(SemiImplicit, WorkEqualsHeating) {
  const SigmaLevels levels(9);
  const SemiImplicit scheme(levels, 21);
  std::vector<double> temperature(18), divergence(18), geopotential(18), cooling(18);
  for (std::size_t k = 0; k < 9; ++k) {
    temperature[k] = std::sin(1.0 + double(k));
    divergence[k] = std::cos(2.0 * double(k));
  }
  scheme.geopotential(temperature.data(), geopotential.data());
  scheme.compression(divergence.data(), cooling.data());
  double work = 0, heating = 0;
  for (std::size_t k = 0; k < 9; ++k) {
    work += levels.thickness()[k] * divergence[k] * geopotential[k];
    heating += levels.thickness()[k] * temperature[k] * cooling[k];
  }
  EXPECT_NEAR(work, constants::heat_capacity_dry_air / reference_temperature * heating, 1e-9 * std::abs(work));
}

// The solution satisfies the implicit equations that it is said to solve.
TEST(SemiImplicit, SolutionSatisfiesTheEquations) {
  const SigmaLevels levels(8);
  SemiImplicit scheme(levels, 42);
  const double dt = 1200;
  scheme.set_time_step(dt);
  for (const int n : {0, 1, 17, 42}) {
    std::vector<double> rd(16), rt(16), rp{0.01, -0.02}, scratch(32);
    for (std::size_t k = 0; k < 16; ++k) {
      rd[k] = 1e-5 * std::sin(double(k));
      rt[k] = std::cos(3.0 * double(k));
    }
    auto d = rd, t = rt, p = rp;
    scheme.solve(n, d.data(), t.data(), p.data(), scratch.data());
    const double laplacian = n * (n + 1) / (constants::earth_radius * constants::earth_radius);
    std::vector<double> geopotential(16), cooling(16);
    scheme.geopotential(t.data(), geopotential.data());
    scheme.compression(d.data(), cooling.data());
    for (std::size_t part = 0; part < 2; ++part) {
      for (std::size_t k = 0; k < 8; ++k) {
        const std::size_t i = part * 8 + k;
        EXPECT_NEAR(d[i],
                    rd[i] + dt * laplacian *
                                (geopotential[i] + constants::gas_constant_dry_air * reference_temperature * p[part]),
                    1e-15);
        EXPECT_NEAR(t[i], rt[i] - dt * cooling[i], 1e-12);
      }
      EXPECT_NEAR(p[part], rp[part] - dt * scheme.column(d.data(), int(part)), 1e-14);
    }
  }
}

// The linear gravity-wave system, stepped with three hours (external gravity waves cross 3700 km in it): energy stays
// bounded.
TEST(SemiImplicit, GravityWavesStayBoundedWithLongSteps) {
  const SigmaLevels levels(8);
  SemiImplicit scheme(levels, 42);
  const double dt = 10800;
  scheme.set_time_step(dt);
  const int n = 42;
  const double laplacian = n * (n + 1) / (constants::earth_radius * constants::earth_radius);
  std::vector<double> d0(16), t0(16), p0{0.01, 0}, scratch(32), work(16);
  for (std::size_t k = 0; k < 8; ++k) t0[k] = std::sin(double(k));
  auto d1 = d0, t1 = t0, p1 = p0;
  double largest = 0;
  for (int step = 0; step < 2000; ++step) {
    // all terms are linear, so the right-hand side is 2 dt L(previous)
    std::vector<double> rd(16), rt(16), rp(2), geopotential(16), cooling(16);
    scheme.geopotential(t0.data(), geopotential.data());
    scheme.compression(d0.data(), cooling.data());
    for (std::size_t part = 0; part < 2; ++part) {
      for (std::size_t k = 0; k < 8; ++k) {
        const std::size_t i = part * 8 + k;
        rd[i] =
            2 * dt * laplacian * (geopotential[i] + constants::gas_constant_dry_air * reference_temperature * p0[part]);
        rt[i] = -2 * dt * cooling[i];
      }
      rp[part] = -2 * dt * scheme.column(d0.data(), int(part));
    }
    scheme.solve(n, rd.data(), rt.data(), rp.data(), scratch.data());
    for (std::size_t i = 0; i < 16; ++i) {
      rd[i] += d0[i];
      rt[i] += t0[i];
    }
    for (std::size_t i = 0; i < 2; ++i) rp[i] += p0[i];
    d0 = d1, t0 = t1, p0 = p1;
    d1 = rd, t1 = rt, p1 = rp;
    for (const double t : t1) largest = std::max(largest, std::abs(t));
  }
  EXPECT_GT(largest, 0.5);
  EXPECT_LT(largest, 50);
}

}  // namespace
}  // namespace zonda::model
