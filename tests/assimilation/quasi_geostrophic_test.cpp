#include <gtest/gtest.h>

#include <cmath>

#include "assimilation/models/quasi_geostrophic.hpp"
#include "core/constants.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

Vector layer(const Vector& field, std::size_t l) {
  const std::size_t n = field.size() / 2;
  return {field.begin() + static_cast<std::ptrdiff_t>(l * n), field.begin() + static_cast<std::ptrdiff_t>((l + 1) * n)};
}

/// Arakawa (1966): the discrete sum of c J(a, b) changes sign under exchange of any two.
TEST(QuasiGeostrophic, has_an_antisymmetric_jacobian) {
  const QuasiGeostrophic model;
  const std::size_t n = model.size() / 2;
  const Vector a = random_vector(n, 1), b = random_vector(n, 2), c = random_vector(n, 3);
  const double value = model.triple(c, a, b);
  ASSERT_GT(std::abs(value), 1e-3);
  for (const double same : {model.triple(a, b, c), model.triple(b, c, a), -model.triple(c, b, a)})
    EXPECT_NEAR(same, value, 1e-12 * static_cast<double>(n));
}

TEST(QuasiGeostrophic, inverts_a_plane_wave) {
  const QuasiGeostrophic model;
  const QuasiGeostrophicConfig& c = model.config();
  const double k = 2 * constants::pi * 2 / c.length_x, dx = c.length_x / static_cast<double>(c.nx);
  const double laplacian = -4 * std::pow(std::sin(k * dx / 2) / dx, 2);
  const double coupling = 1 / (c.deformation_radius * c.deformation_radius);
  Vector vorticity(model.size()), expected(model.size()), psi(model.size());
  for (std::size_t i = 0; i < model.size(); ++i) {
    const double sign = i < model.size() / 2 ? 1 : -1;
    expected[i] = sign * 1e6 * std::cos(k * model.position(i).x);
    vorticity[i] = (laplacian - 2 * coupling) * expected[i];
  }
  model.stream_function(vorticity, psi);
  EXPECT_LT(norm(difference(psi, expected)), 1e-12 * norm(expected));
}

TEST(QuasiGeostrophic, has_a_symmetric_stream_function) {
  const QuasiGeostrophic model;
  const Vector a = random_vector(model.size(), 1), b = random_vector(model.size(), 2);
  Vector psi_a(model.size()), psi_b(model.size());
  model.stream_function(a, psi_a);
  model.stream_function(b, psi_b);
  EXPECT_NEAR(dot(a, psi_b), dot(b, psi_a), 1e-12 * norm(a) * norm(psi_b));
}

/// Without mean flow, drag and diffusion the sums of q^2 in each layer and of psi q are invariants.
TEST(QuasiGeostrophic, conserves_energy_and_enstrophy) {
  QuasiGeostrophicConfig config;
  config.shear = config.beta = config.drag = config.viscosity = 0;
  const QuasiGeostrophic model(config);
  const Vector q = random_vector(model.size(), 1, 1e-5);
  Vector rate(model.size()), psi(model.size());
  model.evaluate(q, rate);
  model.stream_function(q, psi);
  ASSERT_GT(norm(rate), 0);
  EXPECT_LT(std::abs(dot(psi, rate)), 1e-12 * norm(psi) * norm(rate));
  for (std::size_t l = 0; l < 2; ++l)
    EXPECT_LT(std::abs(dot(layer(q, l), layer(rate, l))), 1e-12 * norm(q) * norm(rate));
}

/// Phillips (1954): without dissipation a wave grows where the shear exceeds beta / (2 F) and its number is below
/// sqrt(2 F); shorter ones do not. Here against the eigenvalues of the two-layer problem itself.
TEST(QuasiGeostrophic, grows_baroclinic_waves_as_theory_says) {
  QuasiGeostrophicConfig config;
  config.nx = 64;
  config.ny = 4;
  config.length_y = 6e6;
  config.drag = config.viscosity = config.beta = 0;
  const double f = 1 / (config.deformation_radius * config.deformation_radius);
  const auto growth = [&](double wave) {
    const QuasiGeostrophic model(config);
    const RungeKutta4 forecast(std::make_shared<QuasiGeostrophic>(config), 3600);
    const double k = 2 * constants::pi * wave / config.length_x;
    Vector d(model.size()), rest(model.size());
    for (std::size_t i = 0; i < d.size(); ++i)
      d[i] = std::cos(k * model.position(i).x + (i < d.size() / 2 ? 0 : 1)) * 1e-8;
    constexpr int spin_up = 480, measured = 240;
    double before = 0;
    for (int n = 0; n < spin_up + measured; ++n) {
      if (n == spin_up) before = norm(d);
      forecast.tangent(0, rest, d);
    }
    return std::log(norm(d) / before) / (measured * 3600.0);
  };
  const double dx = config.length_x / static_cast<double>(config.nx);
  for (const double wave : {2.0, 3.0}) {
    const double k = 2 * constants::pi * wave / config.length_x;
    const double k2 = std::pow(2 * std::sin(k * dx / 2) / dx, 2), advecting = std::sin(k * dx) / dx;
    const double expected = advecting * config.shear * std::sqrt((2 * f - k2) / (2 * f + k2));
    EXPECT_NEAR(growth(wave), expected, 0.01 * expected) << "wave " << wave;
  }
  EXPECT_LT(growth(8), 1e-6);
}

}  // namespace
}  // namespace zonda::assimilation
