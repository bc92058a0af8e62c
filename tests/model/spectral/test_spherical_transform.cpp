#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/grid.hpp"
#include "core/philox.hpp"
#include "model/dynamics/spectral_wind.hpp"
#include "model/spectral/spherical_transform.hpp"
#include "model/spectral/transform_adjoint.hpp"

namespace zonda::model {
namespace {

/// Random coefficients with the row T + 1 empty and real zonal means.
std::vector<double> random_coefficients(const SpectralIndex& index, std::uint64_t seed) {
  const Philox random(seed, "spherical test");
  std::vector<double> spectral(index.size() * 2, 0.0);
  for (int m = 0; m <= index.truncation(); ++m)
    for (int n = m; n <= index.truncation(); ++n)
      for (int part = 0; part < (m == 0 ? 1 : 2); ++part)
        spectral[index(m, n) * 2 + std::size_t(part)] = random.normal(index(m, n) * 2 + std::size_t(part)) / (1 + n);
  return spectral;
}

class Truncations : public testing::TestWithParam<int> {};

TEST_P(Truncations, RoundTripIsExact) {
  const SphericalTransform transform(GetParam());
  const std::size_t size = transform.index().size() * 2, plane = std::size_t(transform.nlat() * transform.nlon());
  std::vector<double> spectral(3 * size), grid(3 * plane), back(3 * size);
  for (std::uint64_t s = 0; s < 3; ++s)
    std::ranges::copy(random_coefficients(transform.index(), s), spectral.begin() + long(s * size));
  transform.synthesise(3, spectral, grid);
  transform.analyse(3, grid, back);
  double error = 0;
  for (std::size_t i = 0; i < spectral.size(); ++i) error = std::max(error, std::abs(back[i] - spectral[i]));
  EXPECT_LT(error, 2e-13 * GetParam());
}

INSTANTIATE_TEST_SUITE_P(Spherical, Truncations, testing::Values(5, 21, 30, 42, 63, 85, 106, 170));

TEST(SphericalTransform, KnowsTheFirstHarmonics) {
  const SphericalTransform transform(21);
  const SpectralIndex& index = transform.index();
  const std::size_t columns = std::size_t(transform.nlon()), plane = std::size_t(transform.nlat()) * columns;
  std::vector<double> grid(plane), spectral(index.size() * 2);
  for (std::size_t i = 0; i < plane; ++i) {
    const double mu = transform.sines()[i / columns],
                 lambda = 2 * constants::pi * double(i % columns) / double(columns);
    grid[i] = 7 + 3 * mu + (1 - mu * mu) * std::sin(2 * lambda);
  }
  transform.analyse(1, grid, spectral);
  // P_0^0 = 1, P_1^0 = sqrt(3) mu, P_2^2 = sqrt(15/8) (1 - mu^2); sin(2 x) has the coefficient -i / 2 of exp(2 i x)
  EXPECT_NEAR(spectral[index(0, 0) * 2], 7, 1e-13);
  EXPECT_NEAR(spectral[index(0, 1) * 2], std::sqrt(3.0), 1e-13);
  EXPECT_NEAR(spectral[index(2, 2) * 2], 0, 1e-13);
  EXPECT_NEAR(spectral[index(2, 2) * 2 + 1], -0.5 * std::sqrt(8.0 / 15), 1e-13);
}

TEST(SphericalTransform, SynthesisOnAnotherGridAgrees) {
  const SphericalTransform gaussian(30);
  const Grid grid = Grid::latlon(37, 72, true);
  const SphericalTransform latlon(30, grid.latitudes(), 72);
  const auto spectral = random_coefficients(gaussian.index(), 9);
  std::vector<double> there(37 * 72);
  latlon.synthesise(1, spectral, there);
  // direct summation with the standard library's (unnormalised, no Condon-Shortley phase) polynomials
  for (const std::size_t row : {0u, 5u, 18u, 36u})
    for (const std::size_t column : {0u, 11u, 50u}) {
      const double mu = std::sin(grid.latitudes()[row] * constants::pi / 180),
                   lambda = grid.longitudes()[column] * constants::pi / 180;
      double sum = 0;
      for (int m = 0; m <= 30; ++m)
        for (int n = m; n <= 30; ++n) {
          const double norm = std::sqrt((2 * n + 1) * std::exp(std::lgamma(n - m + 1) - std::lgamma(n + m + 1)));
          const std::size_t c = gaussian.index()(m, n) * 2;
          sum += (m ? 2 : 1) * norm * std::assoc_legendre(unsigned(n), unsigned(m), std::clamp(mu, -1.0, 1.0)) *
                 (spectral[c] * std::cos(m * lambda) - spectral[c + 1] * std::sin(m * lambda));
        }
      EXPECT_NEAR(there[row * 72 + column], sum, 1e-10) << "row " << row << " column " << column;
    }
}

TEST(SphericalTransform, RefusesUnevenRows) {
  const std::vector<double> rows{80, 10, -30};
  EXPECT_THROW(SphericalTransform(21, rows, 64), Error);
}

TEST(SpectralWind, VorticityAndDivergenceInvert) {
  const SphericalTransform transform(42);
  const SpectralIndex& index = transform.index();
  const std::size_t size = index.size() * 2, columns = std::size_t(transform.nlon()),
                    plane = std::size_t(transform.nlat()) * columns;
  auto vorticity = random_coefficients(index, 1), divergence = random_coefficients(index, 2);
  vorticity[0] = divergence[0] = 0;  // the globe has no mean rotation of the wind
  std::vector<double> batch(2 * size), wind(2 * plane), u(plane), v(plane), vorticity_back(size), divergence_back(size);
  for (int m = 0; m <= 42; ++m)
    for (int n = m; n <= 43; ++n) {
      const std::size_t c = index(m, n) * 2;
      wind_coefficients(index, m, n, 1, vorticity.data(), divergence.data(), batch.data() + c, batch.data() + size + c,
                        1);
    }
  transform.synthesise(2, batch, wind);
  for (std::size_t i = 0; i < plane; ++i) {
    const double cosine = std::sqrt(1 - std::pow(transform.sines()[i / columns], 2));
    u[i] = wind[i] / cosine;
    v[i] = wind[plane + i] / cosine;
  }
  vorticity_divergence(transform, u, v, vorticity_back, divergence_back);
  for (std::size_t i = 0; i < size; ++i) {
    EXPECT_NEAR(vorticity_back[i], vorticity[i], 1e-11);
    EXPECT_NEAR(divergence_back[i], divergence[i], 1e-11);
  }
}

TEST(SpectralWind, SolidBodyRotationHasTheVorticityOfTheTextbook) {
  const SphericalTransform transform(21);
  const std::size_t columns = std::size_t(transform.nlon()), plane = std::size_t(transform.nlat()) * columns;
  std::vector<double> u(plane), v(plane, 0.0), vorticity(transform.index().size() * 2), divergence(vorticity.size()),
      grid(plane);
  for (std::size_t i = 0; i < plane; ++i) u[i] = 20 * std::sqrt(1 - std::pow(transform.sines()[i / columns], 2));
  vorticity_divergence(transform, u, v, vorticity, divergence);
  transform.synthesise(1, vorticity, grid);
  for (std::size_t i = 0; i < plane; ++i)
    EXPECT_NEAR(grid[i], 2 * 20 * transform.sines()[i / columns] / constants::earth_radius, 1e-18);
  for (const double d : divergence) EXPECT_NEAR(d, 0, 1e-18);
}

TEST(TransformAdjoint, IsTheTransposeOfBothTransforms) {
  const SphericalTransform transform(21);
  constexpr std::size_t series = 3;
  const SpectralIndex& index = transform.index();
  const std::size_t plane = std::size_t(transform.nlat()) * std::size_t(transform.nlon());
  std::vector<double> spectral, grid(series * plane), to_grid(grid.size());
  for (std::size_t s = 0; s < series; ++s) {
    const std::vector<double> one = random_coefficients(index, s);
    spectral.insert(spectral.end(), one.begin(), one.end());
  }
  std::vector<double> to_spectral(spectral.size());
  const Philox random(9, "grid");
  for (std::size_t i = 0; i < grid.size(); ++i) grid[i] = random.normal(i);
  const auto expect_equal = [](const auto& a, const auto& b, const auto& c, const auto& d) {
    double left = 0, right = 0, size = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      left += a[i] * b[i];
      size += std::abs(a[i] * b[i]);
    }
    for (std::size_t i = 0; i < c.size(); ++i) right += c[i] * d[i];
    EXPECT_NE(left, 0);
    EXPECT_NEAR(left, right, 1e-12 * size);
  };
  transform.synthesise(series, spectral, to_grid);
  synthesise_adjoint(transform, series, grid, to_spectral);
  expect_equal(to_grid, grid, spectral, to_spectral);
  transform.analyse(series, grid, to_spectral);
  analyse_adjoint(transform, series, spectral, to_grid);
  expect_equal(to_spectral, spectral, grid, to_grid);
}

}  // namespace
}  // namespace zonda::model
