#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/philox.hpp"
#include "postproc/verification/spectrum.hpp"

namespace zonda::postproc {
namespace {

TEST(ZonalSpectrum, ParsevalHoldsForEvenAndOddCircles) {
  const Philox random(4, "circle");
  for (const std::size_t length : {96, 97, 360, 45}) {
    std::vector<float> row(length);
    double square = 0;
    for (std::size_t i = 0; i < length; ++i) {
      row[i] = static_cast<float>(5000 + 40 * random.normal(1000 * length + i));
      square += static_cast<double>(row[i]) * row[i];
    }
    const double circle = 3e7;
    const std::vector<double> spectrum = zonal_spectrum(row, circle);
    ASSERT_EQ(spectrum.size(), length / 2 + 1);
    const double power = std::accumulate(spectrum.begin(), spectrum.end(), 0.0);
    EXPECT_NEAR(power / (circle * square / static_cast<double>(length)), 1, 1e-12) << length;
  }
}

TEST(ZonalSpectrum, AWaveHasItsPowerAtItsNumber) {
  std::vector<float> row(64);
  for (std::size_t i = 0; i < 64; ++i)
    row[i] = static_cast<float>(3 + 2 * std::cos(2 * M_PI * 5 * static_cast<double>(i) / 64));
  const std::vector<double> spectrum = zonal_spectrum(row, 10);
  EXPECT_NEAR(spectrum[0], 10 * 9, 1e-5);
  EXPECT_NEAR(spectrum[5], 10 * 2, 1e-5);  // 2 C (a/2)^2 with a = 2
  EXPECT_NEAR(spectrum[4] + spectrum[6], 0, 1e-8);
}

TEST(ZonalSpectrum, TheMeanWeighsRowsByTheirArea) {
  const Grid grid = Grid::latlon(18, 36, false);
  std::vector<float> field(grid.size(), 1.0F);
  const std::vector<double> spectrum = mean_zonal_spectrum(grid, field);
  double sum = 0, weights = 0;
  for (const double latitude : {35.0, 45.0, 55.0}) {
    const double weight = std::sin((latitude + 5) * M_PI / 180) - std::sin((latitude - 5) * M_PI / 180);
    sum += weight * 2 * M_PI * 6371229.0 * std::cos(latitude * M_PI / 180);
    weights += weight;
  }
  EXPECT_NEAR(spectrum[0] / (sum / weights), 1, 1e-12);
  EXPECT_TRUE(mean_zonal_spectrum(Grid::regional(60, 40, 3, 0, 10, 3), std::vector<float>(9)).empty());
}

}  // namespace
}  // namespace zonda::postproc
