#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.hpp"
#include "core/grid.hpp"
#include "core/philox.hpp"
#include "model/spectral/spectral_taper.hpp"
#include "model/spectral/spherical_transform.hpp"

namespace zonda::model {
namespace {

/// A field of harmonics first <= n <= last with random coefficients.
std::vector<float> harmonics(const Grid& grid, int first, int last, std::uint64_t seed) {
  const SphericalTransform transform(last, grid.latitudes(), static_cast<int>(grid.nlon()));
  const SpectralIndex& index = transform.index();
  const Philox random(seed, "harmonics");
  std::vector<double> spectral(index.size() * 2), values(grid.size());
  for (int m = 0; m <= last; ++m)
    for (int n = std::max(m, first); n <= last; ++n)
      for (std::size_t k = 0; k < (m == 0 ? 1 : 2); ++k)
        spectral[2 * index(m, n) + k] = random.normal(2 * index(m, n) + k);
  transform.synthesise(1, spectral, values);
  return {values.begin(), values.end()};
}

double area_mean(const Grid& grid, const std::vector<float>& field) {
  double sum = 0;
  for (std::size_t i = 0; i < field.size(); ++i) sum += grid.row_weights()[i / grid.nlon()] * field[i];
  return sum / static_cast<double>(field.size());
}

double largest(const std::vector<float>& field) {
  double size = 0;
  for (const float value : field) size = std::max(size, std::abs(static_cast<double>(value)));
  return size;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) size = std::max(size, std::abs(static_cast<double>(a[i]) - b[i]));
  return size;
}

class TaperedGrids : public testing::TestWithParam<std::string> {
 protected:
  const Grid grid = Grid::parse(GetParam());
  // The last of the wavenumbers that the rows resolve are what a fit needs more than the quadrature for.
  const int to = static_cast<int>(grid.nlat()) - 3, from = to - 6;
  const SpectralTaper taper{grid, from, to};
};

std::vector<double> noise(std::size_t size, std::uint64_t seed) {
  const Philox random(seed, "noise");
  std::vector<double> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = random.normal(i);
  return values;
}

TEST_P(TaperedGrids, SmoothIsSelfAdjointInItsInnerProduct) {
  const std::vector<double> x = noise(2 * grid.size(), 1), y = noise(2 * grid.size(), 2);
  std::vector<double> sx = x, sy = y, adjoint = y;
  taper.smooth(sx);
  taper.smooth(sy);
  taper.smooth_adjoint(adjoint);
  double left = 0, right = 0, plain = 0, plain_adjoint = 0, size = 0, plain_size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double w = taper.quadrature_weights()[i % grid.size() / grid.nlon()];
    left += w * sx[i] * y[i];
    right += w * x[i] * sy[i];
    size += w * std::abs(sx[i] * y[i]);
    plain += sx[i] * y[i];
    plain_adjoint += x[i] * adjoint[i];
    plain_size += std::abs(sx[i] * y[i]);
  }
  EXPECT_NE(left, 0);
  EXPECT_NEAR(left, right, 1e-12 * size);
  EXPECT_NEAR(plain, plain_adjoint, 1e-12 * plain_size);
  EXPECT_NE(sx, x);
}

TEST_P(TaperedGrids, SmoothLeavesLowWavenumbersAndLowersTheRest) {
  const std::vector<float> low = harmonics(grid, 0, from, 1);
  std::vector<double> field(low.begin(), low.end()), smooth = noise(grid.size(), 3);
  taper.smooth(field);
  for (std::size_t i = 0; i < field.size(); ++i) EXPECT_NEAR(field[i], low[i], 1e-6 * largest(low));
  const auto square = [&](const std::vector<double>& f) {
    double sum = 0;
    for (std::size_t i = 0; i < f.size(); ++i) sum += taper.quadrature_weights()[i / grid.nlon()] * f[i] * f[i];
    return sum;
  };
  const double before = square(smooth);
  taper.smooth(smooth);
  EXPECT_LT(square(smooth), before);
}

TEST_P(TaperedGrids, LowWavenumbersStay) {
  const std::vector<float> field = harmonics(grid, 0, from, 1);
  std::vector<float> tapered = field;
  taper.apply(tapered);
  EXPECT_LE(largest_difference(tapered, field), 1e-6 * largest(field));
}

TEST_P(TaperedGrids, WavenumbersBetweenAreWeighted) {
  for (const int n : {from + 1, from + 3, to - 1}) {
    const std::vector<float> field = harmonics(grid, n, n, 2);
    std::vector<float> tapered = field, expected = field;
    for (float& value : expected) value *= static_cast<float>(taper.weight(n));
    taper.apply(tapered);
    // The mean over cells, which stays, is not quite that of the harmonics.
    const double mean = std::abs(area_mean(grid, field));
    EXPECT_LE(largest_difference(tapered, expected), 2 * mean + 2e-6 * largest(field)) << n;
    EXPECT_LT(mean, 0.02 * largest(field));
  }
  EXPECT_EQ(taper.weight(from), 1);
  EXPECT_EQ(taper.weight(to), 0);
  EXPECT_NEAR(taper.weight(from + 3), 0.5, 1e-15);
}

TEST_P(TaperedGrids, MeanAndConstantsStayAndTheRestIsBelowTheTaper) {
  const Philox random(3, "noise");
  std::vector<float> noise(grid.size());
  for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<float>(5 + random.normal(i));
  std::vector<float> tapered = noise;
  taper.apply(tapered);
  EXPECT_NEAR(area_mean(grid, tapered), area_mean(grid, noise), 1e-7 * 5);
  EXPECT_GT(largest_difference(tapered, noise), 0.5);
  // What is left lies within the harmonics below `to`: a sharp taper there changes nothing.
  const SpectralTaper sharp(grid, to - 1, to);
  std::vector<float> again = tapered;
  sharp.apply(again);
  EXPECT_LE(largest_difference(again, tapered), 1e-6 * largest(tapered));

  std::vector<float> constant(grid.size(), 273.15F);
  taper.apply(constant);
  for (const float value : constant) ASSERT_EQ(value, 273.15F);
}

TEST_P(TaperedGrids, FieldsDoNotTouchEachOther) {
  std::vector<float> all;
  for (std::uint64_t f = 0; f < 19; ++f) {
    const std::vector<float> field = harmonics(grid, 0, to, f);
    all.insert(all.end(), field.begin(), field.end());
  }
  const std::vector<float> before = all;
  taper.apply(all);
  for (const std::size_t f : {0U, 7U, 8U, 18U}) {
    const auto first = static_cast<std::ptrdiff_t>(f * grid.size());
    std::vector<float> alone(before.begin() + first, before.begin() + first + static_cast<std::ptrdiff_t>(grid.size()));
    taper.apply(alone);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), all.begin() + first)) << f;
  }
}

INSTANTIATE_TEST_SUITE_P(All, TaperedGrids,
                         testing::Values("gaussian 48x96", "gaussian 32x64", "latlon 32x64 no-poles", "latlon 33x64",
                                         "latlon 46x96", "latlon 31x80 no-poles"),
                         [](const auto& each) {
                           std::string name = each.param;
                           for (char& c : name)
                             if (c == ' ' || c == '-') c = '_';
                           return name;
                         });

TEST(SpectralTaper, RefusesWhatItCannotDo) {
  const auto message = [](const std::string& grid, int from, int to) -> std::string {
    try {
      const SpectralTaper taper(Grid::parse(grid), from, to);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message("regional 60..25x71 350..40x101", 30, 36).find("regional 60..25x71"), std::string::npos);
  EXPECT_NE(message("gaussian 48x96", 40, 60).find("up to 47"), std::string::npos);
  EXPECT_NE(message("gaussian 48x96", 36, 30).find("from < to"), std::string::npos);
  EXPECT_EQ(message("gaussian 48x96", 30, 48), "");
}

}  // namespace
}  // namespace zonda::model
