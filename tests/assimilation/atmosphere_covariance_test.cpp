// Covariances of an atmosphere: the generic suite, the shapes that one observation makes, calibration, files, ranks.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "assimilation/covariance/diffusion_correlation.hpp"
#include "assimilation/covariance/ensemble_covariance.hpp"
#include "assimilation/covariance/field_variances.hpp"
#include "assimilation/covariance/hybrid_covariance.hpp"
#include "assimilation/covariance/isotropic_correlation.hpp"
#include "assimilation/covariance/level_correlation.hpp"
#include "assimilation/covariance/localisation.hpp"
#include "assimilation/covariance/repeated_covariance.hpp"
#include "assimilation/covariance/scaled_covariance.hpp"
#include "assimilation/interfaces/position.hpp"
#include "core/constants.hpp"
#include "core/error.hpp"
#include "covariance_checks.hpp"
#include "spectral_fixture.hpp"

namespace zonda::assimilation {
namespace {

AtmosphereLayout global_layout(std::size_t slots = 1) {
  return small_atmosphere(Grid::gaussian(8, 16), slots);
}
AtmosphereLayout regional_layout() {
  return small_atmosphere(Grid::regional(60, 45, 7, 355, 15, 9));
}

std::shared_ptr<const Covariance> spectral() {
  return std::make_shared<SpectralCovariance>(global_layout(), known_statistics(global_layout(), 7));
}
std::shared_ptr<const HorizontalCorrelation> isotropic() {
  return std::make_shared<IsotropicCorrelation>(
      Grid::gaussian(8, 16), [](double distance) { return gaspari_cohn(distance / 6e6); }, 0.02);
}
std::shared_ptr<const HorizontalCorrelation> diffusion() {
  return std::make_shared<DiffusionCorrelation>(regional_layout().grid, 4e5);
}
std::shared_ptr<const Covariance> localised_ensemble(const AtmosphereLayout& layout,
                                                     std::shared_ptr<const HorizontalCorrelation> horizontal) {
  std::vector<Vector> anomalies;
  Vector mean(layout.state_size());
  for (std::size_t k = 0; k < 4; ++k) {
    anomalies.push_back(small_member(layout, k));
    axpy(0.25, anomalies.back(), mean);
  }
  for (Vector& anomaly : anomalies) axpy(-1, mean, anomaly);
  return std::make_shared<EnsembleCovariance>(
      std::move(anomalies), std::make_shared<SharedLevelCorrelation>(layout, std::move(horizontal), 0.5));
}
std::shared_ptr<const Covariance> fieldwise() {
  std::vector<Vector> deviations;
  for (const LaidField& field : regional_layout().fields) deviations.emplace_back(field.offset.size(), 1.5);
  return std::make_shared<FieldwiseCovariance>(regional_layout(), diffusion(), 0.7, std::move(deviations));
}

std::shared_ptr<const Covariance> scaled() {
  Vector factors = random_vector(global_layout().state_size(), 3);
  for (double& factor : factors) factor = 0.5 + std::abs(factor);
  return std::make_shared<ScaledCovariance>(spectral(), std::move(factors));
}

struct CovarianceCase {
  const char* name;
  std::shared_ptr<const Covariance> (*make)();
};

class EveryAtmosphereCovariance : public testing::TestWithParam<CovarianceCase> {};

TEST_P(EveryAtmosphereCovariance, passes_the_generic_suite) {
  const auto b = GetParam().make();
  check_zero_to_zero(*b);
  check_linear_symmetric_and_positive(*b);
  check_square_of_its_root(*b);
  check_draws(*b, 400);
}

INSTANTIATE_TEST_SUITE_P(
    assimilation, EveryAtmosphereCovariance,
    testing::Values(
        CovarianceCase{"spectral", spectral}, CovarianceCase{"scaled", scaled},
        CovarianceCase{
            "spectral_of_two_slots",
            [] { return std::shared_ptr<const Covariance>(std::make_shared<RepeatedCovariance>(spectral(), 2)); }},
        CovarianceCase{"spectral_of_the_present_only",
                       [] {
                         return std::shared_ptr<const Covariance>(
                             std::make_shared<RepeatedCovariance>(spectral(), 2, EarlierSlots::unchanged));
                       }},
        CovarianceCase{"isotropic", [] { return std::shared_ptr<const Covariance>(isotropic()); }},
        CovarianceCase{"diffusion", [] { return std::shared_ptr<const Covariance>(diffusion()); }},
        CovarianceCase{"fieldwise_regional", fieldwise},
        CovarianceCase{"localisation",
                       [] {
                         return std::shared_ptr<const Covariance>(
                             std::make_shared<SharedLevelCorrelation>(global_layout(2), isotropic(), 0.5));
                       }},
        CovarianceCase{"localisation_regional",
                       [] {
                         return std::shared_ptr<const Covariance>(
                             std::make_shared<SharedLevelCorrelation>(regional_layout(), diffusion(), 0.5));
                       }},
        CovarianceCase{"localised_ensemble", [] { return localised_ensemble(global_layout(2), isotropic()); }},
        CovarianceCase{"localised_ensemble_regional",
                       [] { return localised_ensemble(regional_layout(), diffusion()); }},
        CovarianceCase{"hybrid",
                       [] {
                         return std::shared_ptr<const Covariance>(std::make_shared<HybridCovariance>(
                             spectral(), 0.4, localised_ensemble(global_layout(), isotropic()), 0.6));
                       }}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(FieldVariances, weigh_rows_by_their_area_and_see_the_present) {
  const AtmosphereLayout layout = global_layout(2);
  Vector state(layout.state_size(), 100);
  Vector expected;
  double value = 1;
  for (const LaidField& field : layout.fields)
    for (const std::size_t offset : field.offset) {
      for (std::size_t i = 0; i < layout.grid.size(); ++i)
        state[layout.slot_size + offset + i] = value * (i / layout.grid.nlon() == 3 ? 3 : 1);
      const std::span<const double> rows = layout.grid.row_weights();
      double area = 0;
      for (const double row : rows) area += row;
      expected.push_back(value * value * (1 + 8 * rows[3] / area));
      value += 1;
    }
  const Vector found = field_mean_squares(layout, state);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t f = 0; f < found.size(); ++f) EXPECT_NEAR(found[f], expected[f], 1e-12 * expected[f]);
}

/// Scaled field by field, a covariance has the variances that it is asked for.
TEST(FieldVariances, become_those_that_are_asked_for) {
  const AtmosphereLayout layout = global_layout();
  const Vector before = field_variances(layout, *spectral());
  Vector ratios = random_vector(before.size(), 9);
  for (double& ratio : ratios) ratio = 0.2 + std::abs(ratio);
  const ScaledCovariance changed(spectral(), spread_over_fields(layout, ratios));
  const Vector after = field_variances(layout, changed);
  for (std::size_t f = 0; f < before.size(); ++f) {
    EXPECT_GT(before[f], 0);
    EXPECT_NEAR(after[f], ratios[f] * ratios[f] * before[f], 1e-10 * after[f]);
  }
  // Many draws: the diagonal itself.
  double diagonal = 0, area = 0;
  for (std::size_t i = 0; i < layout.grid.size(); ++i) {
    const double weight = layout.grid.row_weights()[i / layout.grid.nlon()];
    diagonal += weight * column(*spectral(), layout.fields[0].offset[0] + i)[layout.fields[0].offset[0] + i];
    area += weight;
  }
  EXPECT_NEAR(field_variances(layout, *spectral(), 2000)[0], diagonal / area, 0.05 * diagonal / area);
  EXPECT_THROW(ScaledCovariance(spectral(), Vector(layout.state_size())), Error);
}

/// Transposes to rounding; analysis returns what synthesis was given; harmonics have unit mean square.
TEST(HarmonicSynthesis, has_transposes_and_inverses) {
  for (const Grid& grid : {Grid::gaussian(8, 16), Grid::latlon(17, 32, true), Grid::latlon(16, 32, false, 5.625)}) {
    const HarmonicSynthesis harmonics(grid, 7);
    const std::size_t size = harmonics.coefficients(), points = grid.size();
    Vector c = random_vector(2 * size, 1), field(2 * points), back(2 * size), u(2 * points), v(2 * points);
    harmonics.scalar(2, c, field);
    harmonics.analyse(2, field, back);
    EXPECT_LT(norm(difference(back, c)), (grid.has_poles() ? 1e-8 : 1e-12) * norm(c));  // rows at poles move off them
    const Vector g = random_vector(2 * points, 2), h = random_vector(2 * points, 3);
    harmonics.scalar_adjoint(2, g, back);
    EXPECT_NEAR(dot(field, g), dot(c, back), 1e-12 * norm(field) * norm(g));

    Vector psi = random_vector(2 * size, 4), chi = random_vector(2 * size, 5), to_psi(2 * size), to_chi(2 * size);
    harmonics.wind(2, psi, chi, u, v);
    for (const double value : u) ASSERT_TRUE(std::isfinite(value));
    harmonics.wind_adjoint(2, g, h, to_psi, to_chi);
    EXPECT_NEAR(dot(u, g) + dot(v, h), dot(psi, to_psi) + dot(chi, to_chi), 1e-11 * (norm(u) + norm(v)) * norm(g));
    harmonics.analyse_wind(2, u, v, to_psi, to_chi);
    psi[0] = psi[size] = chi[0] = chi[size] = 0;
    EXPECT_LT(norm(difference(to_psi, psi)), 1e-8 * norm(psi)) << grid.to_string();
    EXPECT_LT(norm(difference(to_chi, chi)), 1e-8 * norm(chi)) << grid.to_string();

    Vector b(size), from_b(size);
    const ConstView one = ConstView(c).first(size), other = ConstView(c).last(size);
    harmonics.balance(one, b);
    harmonics.balance_adjoint(other, from_b);
    EXPECT_NEAR(dot(b, other), dot(one, from_b), 1e-12 * norm(b) * norm(other));
  }
  EXPECT_THROW(HarmonicSynthesis(Grid::gaussian(8, 16), 8), Error);
  EXPECT_THROW(HarmonicSynthesis(Grid::regional(60, 40, 8, 0, 20, 9), 2), Error);
}

/// psi = sin(phi): the Laplacian of b is 1 - 3 sin^2, so b = (3 sin^2 - 1) / 6. And psi makes the wind of a turning
/// Earth: u = -cos(phi) / a.
TEST(HarmonicSynthesis, knows_solid_rotation) {
  const Grid grid = Grid::gaussian(8, 16);
  const HarmonicSynthesis harmonics(grid, 5);
  const std::size_t size = harmonics.coefficients();
  Vector psi(size), chi(size), b(size), u(grid.size()), v(grid.size()), field(grid.size());
  psi[1] = 1 / std::sqrt(3.0);
  harmonics.scalar(1, psi, field);
  EXPECT_NEAR(field[0], std::sin(grid.latitudes()[0] * constants::pi / 180), 1e-14);
  harmonics.wind(1, psi, chi, u, v);
  harmonics.balance(psi, b);
  harmonics.scalar(1, b, field);
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const double latitude = grid.latitudes()[i / grid.nlon()] * constants::pi / 180, sine = std::sin(latitude);
    EXPECT_NEAR(u[i] * constants::earth_radius, -std::cos(latitude), 1e-12);
    EXPECT_NEAR(v[i] * constants::earth_radius, 0, 1e-12);
    EXPECT_NEAR(field[i], (3 * sine * sine - 1) / 6, 1e-13);
  }
}

/// One observation of surface pressure at 45 N: a round high, wind clockwise about it, and none of it far away.
TEST(SpectralCovariance, makes_of_one_observation_a_balanced_high) {
  const AtmosphereLayout layout = small_atmosphere(Grid::gaussian(24, 48));
  const SpectralCovariance b(layout, known_statistics(layout, 20));
  const std::size_t nlon = 48, row = 5, column_of = 20, at = row * nlon + column_of;
  const Vector response = column(b, layout.find("sp")->offset[0] + at);
  const auto field = [&](const char* name, std::size_t level, std::size_t point) {
    return response[layout.find(name)->offset[level] + point];
  };
  const double peak = field("sp", 0, at);
  EXPECT_GT(peak, 0);
  for (std::size_t i = 0; i < layout.grid.size(); ++i) EXPECT_LE(field("sp", 0, i), peak * 1.2);
  for (std::size_t x = 1; x < 6; ++x) {
    EXPECT_NEAR(field("sp", 0, at + x), field("sp", 0, at - x), 1e-11 * peak);  // round
    EXPECT_LT(field("sp", 0, at + x), field("sp", 0, at + x - 1));
    EXPECT_NEAR(field("v", 2, at + x), -field("v", 2, at - x), 1e-11 * peak);
  }
  EXPECT_LT(std::abs(field("sp", 0, at + nlon / 2)), 0.25 * peak);
  double u_north = 0, u_south = 0, v_east = 0;
  for (std::size_t level = 0; level < 3; ++level) {
    u_north += field("u", level, at - 2 * nlon);
    u_south += field("u", level, at + 2 * nlon);
    v_east += field("v", level, at + 2);
  }
  EXPECT_GT(u_north, 0);
  EXPECT_LT(u_south, 0);
  EXPECT_LT(v_east, 0);
  // The temperature of the same group follows; humidity follows through psi only.
  EXPECT_GT(std::abs(field("t", 1, at)), 0);
  EXPECT_GT(field("2t", 0, at), 0);
}

std::vector<Vector> draws(const Covariance& b, std::size_t count) {
  std::vector<Vector> samples;
  for (std::size_t k = 0; k < count; ++k) samples.push_back(b.randomise(5, "calibration", k));
  return samples;
}

/// How far what `found` makes of one observation is from what `truth` makes of it.
double apart(const AtmosphereLayout& layout, const Covariance& found, const Covariance& truth, const char* name) {
  const std::size_t at = layout.find(name)->offset[0] + 3 * layout.grid.nlon() + 7;
  return norm(difference(column(found, at), column(truth, at))) / norm(column(truth, at));
}

TEST(SpectralCalibration, recovers_a_known_covariance) {
  const AtmosphereLayout layout = small_atmosphere(Grid::gaussian(12, 24));
  const SpectralCovariance truth(layout, known_statistics(layout, 11, false));
  const std::vector<Vector> samples = draws(truth, 400);
  CalibrationSettings settings;
  settings.latitude_smoothing = 3;
  settings.balance = false;
  const SpectralCovariance found(layout, calibrate(layout, samples, settings));
  const SpectralCovariance of_few(layout, calibrate(layout, std::span(samples).first(25), settings));
  for (const char* name : {"u", "t", "sp", "q"}) {
    EXPECT_LT(apart(layout, found, truth, name), 0.12) << name;
    EXPECT_LT(apart(layout, found, truth, name), apart(layout, of_few, truth, name)) << name;
  }
}

/// The variance of what balances psi varies with latitude by itself; calibration counts that among the standard
/// deviations, which is the larger part of what is left here.
TEST(SpectralCalibration, recovers_balance) {
  const AtmosphereLayout layout = small_atmosphere(Grid::gaussian(12, 24));
  const SpectralCovariance truth(layout, known_statistics(layout, 11));
  std::vector<Vector> samples = draws(truth, 250);
  CalibrationSettings settings;
  settings.latitude_smoothing = 3;
  const SpectralCovariance found(layout, calibrate(layout, samples, settings));
  for (const char* name : {"u", "t", "sp", "q"}) EXPECT_LT(apart(layout, found, truth, name), 0.35) << name;
  // Without balance winds and mass know nothing of each other.
  settings.balance = false;
  const SpectralCovariance without(layout, calibrate(layout, samples, settings));
  const std::size_t sp = layout.find("sp")->offset[0] + 3 * 24 + 7, u = layout.find("u")->offset[0];
  double cross = 0, balanced = 0;
  for (std::size_t i = 0; i < layout.grid.size(); ++i) {
    cross = std::max(cross, std::abs(column(without, sp)[u + i]));
    balanced = std::max(balanced, std::abs(column(found, sp)[u + i]));
  }
  EXPECT_LT(cross, 1e-12);
  EXPECT_GT(balanced, 0.1);
  // Half the variance, from states of two slots of which the last counts.
  AtmosphereLayout two = layout;
  two.slots = 2;
  for (Vector& sample : samples) sample.insert(sample.begin(), sample.size(), 1e9);
  settings.balance = true;
  settings.variance_factor = 0.5;
  const SpectralCovariance half(two, calibrate(two, samples, settings));
  const Vector x = random_vector(layout.state_size(), 3);
  EXPECT_NEAR(dot(x, times(half, x)), 0.5 * dot(x, times(found, x)), 1e-10 * dot(x, times(found, x)));
  EXPECT_THROW(calibrate(layout, std::span(samples).first(2)), Error);
}

class StatisticsFile : public testing::Test {
 protected:
  std::filesystem::path path = std::filesystem::path(ZONDA_BINARY_DIR) / "covariance_test.zcov";
  AtmosphereLayout layout = global_layout();
  std::string refusal(const AtmosphereLayout& of, const std::string& identity) const {
    try {
      read_statistics(path, of, identity);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
    return "";
  }
  void TearDown() override { std::filesystem::remove(path); }
};

TEST_F(StatisticsFile, returns_the_same_bits) {
  const SpectralStatistics written = known_statistics(layout, 6);
  write_statistics(path, written, layout, "model A");
  const SpectralStatistics read = read_statistics(path, layout, "model A");
  EXPECT_EQ(read.truncation, 6);
  EXPECT_EQ(read.deviations, written.deviations);
  EXPECT_EQ(read.regressions, written.regressions);
  EXPECT_EQ(read.covariances, written.covariances);
}

TEST_F(StatisticsFile, refuses_another_model_grid_or_state_and_damage) {
  write_statistics(path, known_statistics(layout, 6), layout, "model A");
  EXPECT_NE(refusal(layout, "model B").find("another model"), std::string::npos);
  EXPECT_NE(refusal(small_atmosphere(Grid::gaussian(10, 20)), "model A").find("expected gaussian 10x20"),
            std::string::npos);
  AtmosphereLayout other = layout;
  other.fields.pop_back();
  EXPECT_NE(refusal(other, "model A").find("other variables"), std::string::npos);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-5, std::ios::end);
    file.put('!');
  }
  EXPECT_NE(refusal(layout, "model A").find("damaged"), std::string::npos);
  std::ofstream(path) << "something else";
  EXPECT_NE(refusal(layout, "model A").find("not a file of background covariances"), std::string::npos);
}

TEST(SpectralCovariance, has_the_same_bits_on_any_number_of_ranks) {
  const AtmosphereLayout layout = global_layout();
  const SpectralStatistics statistics = known_statistics(layout, 7);
  const SpectralCovariance alone(layout, statistics);
  const Vector control = random_vector(alone.control_size(), 1), x = random_vector(alone.size(), 2);
  const Vector state = root(alone, control), sensitivity = root_adjoint(alone, x);
  for (const int ranks : {2, 4, 8})
    parallel::run_on_threads(ranks, [&](const parallel::Communicator& communicator) {
      const SpectralCovariance shared(layout, statistics, communicator);
      EXPECT_EQ(root(shared, control), state);
      EXPECT_EQ(root_adjoint(shared, x), sensitivity);
    });
}

/// The addition theorem: the same variance everywhere, and the correlation that was asked for.
TEST(IsotropicCorrelation, has_a_unit_diagonal_and_its_shape) {
  const Grid grid = Grid::gaussian(24, 48);
  const IsotropicCorrelation c(grid, [](double distance) { return gaspari_cohn(distance / 2.5e6); });
  EXPECT_LT(c.control_size(), grid.size());
  const SphereMetric metric;
  for (const std::size_t i : {3UL, 500UL, 1151UL}) {
    const Vector response = column(c, i);
    EXPECT_NEAR(response[i], 1, 1e-12);
    for (std::size_t j = 0; j < grid.size(); ++j) {
      const Position a{grid.longitudes()[i % 48], grid.latitudes()[i / 48], 0},
          b{grid.longitudes()[j % 48], grid.latitudes()[j / 48], 0};
      EXPECT_NEAR(response[j], gaspari_cohn(metric.distance(a, b) / 2.5e6), 0.02);
    }
  }
  EXPECT_THROW(IsotropicCorrelation(Grid::gaussian(8, 16), [](double d) { return gaspari_cohn(d / 3e5); }), Error);
}

TEST(SharedLevelCorrelation, is_one_for_all_variables_of_a_level) {
  const AtmosphereLayout layout = global_layout(2);
  const SharedLevelCorrelation c(layout, isotropic(), 0.6);
  const std::size_t points = layout.grid.size(), at = 40;
  const Vector response = column(c, layout.find("u")->offset[1] + at);
  EXPECT_NEAR(response[layout.find("u")->offset[1] + at], 1, 1e-12);
  EXPECT_NEAR(response[layout.find("t")->offset[0] + at], 1, 1e-12);                     // the same level
  EXPECT_NEAR(response[layout.slot_size + layout.find("v")->offset[1] + at], 1, 1e-12);  // of the other slot
  const double apart = gaspari_cohn(std::log(850.0 / 500) / 0.6);
  EXPECT_NEAR(response[layout.find("q")->offset[0] + at], apart, 1e-12);
  EXPECT_NEAR(response[layout.find("sp")->offset[0] + at], apart, 1e-12);
  for (std::size_t i = 0; i < points; ++i)
    EXPECT_NEAR(response[layout.find("u")->offset[0] + i],
                response[layout.find("u")->offset[1] + i] * gaspari_cohn(std::log(500.0 / 300) / 0.6), 1e-12);
  const SharedLevelCorrelation endless(layout, isotropic(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(endless.control_size(), isotropic()->control_size());
}
/// On a fine enough grid the regional localisation is like the global one where it matters.
TEST(HorizontalLocalisation, is_alike_on_global_and_regional_grids) {
  const Grid region = Grid::regional(20, -20, 41, 100, 140, 41);
  const auto c = horizontal_localisation(region, 1e6);
  const std::size_t middle = 20 * 41 + 20;
  const Vector response = column(*c, middle);
  for (std::size_t x = 0; x <= 12; x += 3) {
    const double distance = static_cast<double>(x) * constants::pi / 180 * constants::earth_radius;
    EXPECT_NEAR(response[middle + x], gaspari_cohn(distance / 1e6), 0.06) << x;
  }
  EXPECT_THROW(horizontal_localisation(region, 0), Error);
}

/// Unit variance up to the edges; far from them the autoregressive correlation of order M (Mirouze & Weaver 2010).

TEST(DiffusionCorrelation, is_normalised_and_autoregressive) {
  const DiffusionCorrelation c(Grid::regional(60, 45, 16, 355, 15, 21), 4e5);
  for (const std::size_t i : {0UL, 20UL, 170UL, 335UL}) EXPECT_NEAR(column(c, i)[i], 1, 1e-12);
  const std::size_t n = 401, steps = 4;
  const Grid line = Grid::regional(0.1, -0.1, 3, 0, 40, n);
  const double length = 5e5, scale_length = length / std::sqrt(2.0 * steps - 3);
  const DiffusionCorrelation along(line, length, steps);
  const std::size_t middle = n + n / 2;
  const Vector response = column(along, middle);
  for (std::size_t k = 0; k < 150; k += 10) {
    const double r = static_cast<double>(k) * 0.1 * constants::pi / 180 * constants::earth_radius / scale_length;
    // Order 4: the Matern function with nu = 7/2.
    const double expected = (1 + r + 0.4 * r * r + r * r * r / 15) * std::exp(-r);
    EXPECT_NEAR(response[middle + k], expected, 0.01) << k;
  }
  EXPECT_THROW(DiffusionCorrelation(Grid::gaussian(8, 16), 1e6), Error);
  EXPECT_THROW(DiffusionCorrelation(line, 1e5, 3), Error);
}

}  // namespace
}  // namespace zonda::assimilation
