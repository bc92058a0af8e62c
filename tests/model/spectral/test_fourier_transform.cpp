#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <vector>

#include "core/constants.hpp"
#include "core/philox.hpp"
#include "model/spectral/fourier_transform.hpp"

namespace zonda::model {
namespace {

class Lengths : public testing::TestWithParam<int> {};

TEST_P(Lengths, EqualTheDefinitionAndInvert) {
  const int n = GetParam();
  const FourierTransform transform(n);
  const Philox random(1, "fourier test");
  std::vector<double> data(16 * std::size_t(n)), work(data.size());
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = random.normal(i);
  const std::vector<double> original = data;
  const double* spectrum = transform.forward(data.data(), work.data());
  for (int lane : {0, 7})
    for (int m = 0; m < n; ++m) {
      std::complex<double> sum = 0;
      for (int x = 0; x < n; ++x)
        sum += std::complex<double>(original[16 * x + lane], original[16 * x + 8 + lane]) *
               std::polar(1.0, -2 * constants::pi * (static_cast<long>(m) * x % n) / n);
      EXPECT_NEAR(spectrum[16 * m + lane], sum.real(), 1e-12 * n) << "m = " << m;
      EXPECT_NEAR(spectrum[16 * m + 8 + lane], sum.imag(), 1e-12 * n) << "m = " << m;
    }
  std::vector<double> back(spectrum, spectrum + data.size()), spare(data.size());
  const double* result = transform.backward(back.data(), spare.data());
  for (std::size_t i = 0; i < data.size(); ++i) EXPECT_NEAR(result[i] / n, original[i], 1e-13);
}

INSTANTIATE_TEST_SUITE_P(Fourier, Lengths, testing::Values(1, 2, 3, 4, 5, 8, 14, 15, 49, 64, 96, 121, 360));

}  // namespace
}  // namespace zonda::model
