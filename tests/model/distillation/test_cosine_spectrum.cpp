#include "model/training/distillation/cosine_spectrum.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "core/philox.hpp"

namespace zonda::model {
namespace {

std::vector<double> noise(std::size_t n) {
  const Philox philox(2, "cosine spectrum");
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = philox.normal(i);
  return values;
}

TEST(CosineSpectrum, TheInverseUndoesTheTransformAndKeepsTheSumOfSquares) {
  const CosineSpectrum spectrum(7, 12);
  const std::vector<double> field = noise(84);
  std::vector<double> coefficients(84), back(84);
  spectrum.transform(field, coefficients);
  spectrum.inverse(coefficients, back);
  for (std::size_t i = 0; i < 84; ++i) ASSERT_NEAR(back[i], field[i], 1e-12);
  const auto squares = [](const std::vector<double>& x) {
    return std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
  };
  EXPECT_NEAR(squares(coefficients), squares(field), 1e-10);
}

TEST(CosineSpectrum, AWaveIsOneCoefficientInItsBand) {
  const std::size_t rows = 8, columns = 16;
  const CosineSpectrum spectrum(rows, columns);
  std::vector<double> field(rows * columns), coefficients(rows * columns);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      field[i * columns + j] = std::cos(std::numbers::pi * 6 * (static_cast<double>(j) + 0.5) / 16);
  spectrum.transform(field, coefficients);
  for (std::size_t k = 0; k < coefficients.size(); ++k)
    EXPECT_NEAR(coefficients[k], k == 6 ? std::sqrt(8.0 * 16 / 2) : 0, 1e-12);
  // alpha = 6 / 16, a wavelength of 16 / 3 cells; bands are 1 / 8 wide.
  EXPECT_EQ(spectrum.band(6), 3U);
  EXPECT_DOUBLE_EQ(spectrum.wavelength(3), 4);
  std::vector<double> power(spectrum.bands());
  spectrum.add_power(coefficients, power);
  EXPECT_NEAR(power[3], 64, 1e-10);
}

TEST(CosineSpectrum, TheMeanHasNoPower) {
  const CosineSpectrum spectrum(5, 6);
  const std::vector<double> field(30, 3.0);
  std::vector<double> coefficients(30), power(spectrum.bands());
  spectrum.transform(field, coefficients);
  spectrum.add_power(coefficients, power);
  for (const double p : power) EXPECT_NEAR(p, 0, 1e-20);
  EXPECT_NEAR(coefficients[0], 3 * std::sqrt(30.0), 1e-12);
}

}  // namespace
}  // namespace zonda::model
