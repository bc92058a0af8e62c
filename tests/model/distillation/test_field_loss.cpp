#include "model/training/distillation/field_loss.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/philox.hpp"

namespace zonda::model {
namespace {

const Grid grid = Grid::regional(60, 36, 9, 350, 20, 11);

std::vector<float> random_numbers(const char* purpose) {
  const Philox philox(4, purpose);
  std::vector<float> values(grid.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(philox.normal(i));
  return values;
}

TEST(Interior, IsWhatTheRingLeavesWithAreaWeights) {
  const Interior interior(grid, BoundaryRing(grid, 2));
  EXPECT_EQ(interior.rows(), 5U);
  EXPECT_EQ(interior.columns(), 7U);
  EXPECT_EQ(interior.cells()[0], 2U * 11 + 2);
  EXPECT_NEAR(std::accumulate(interior.weights().begin(), interior.weights().end(), 0.0) / 35, 1, 1e-12);
  EXPECT_NEAR(interior.weights()[0] / interior.weights()[34], grid.cell_area(2) / grid.cell_area(6), 1e-12);
}

/// Along a random direction, against central differences in f32 fields.
template <class Loss>
void check_gradient(const Loss& loss) {
  const std::vector<float> x = random_numbers("x"), wanted = random_numbers("wanted"), d = random_numbers("direction");
  std::vector<float> gradient(grid.size());
  loss(x, wanted, gradient);
  double slope = 0;
  for (std::size_t i = 0; i < x.size(); ++i) slope += static_cast<double>(gradient[i]) * d[i];
  const float h = 0x1p-9F;
  std::vector<float> up = x, down = x, unused(grid.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    up[i] += h * d[i];
    down[i] -= h * d[i];
  }
  const double difference = (loss(up, wanted, unused) - loss(down, wanted, unused)) / (2.0 * h);
  EXPECT_NEAR(slope, difference, 2e-5 * std::abs(difference) + 1e-7);
  const BoundaryRing ring(grid, 2);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!ring.interior(i)) {
      EXPECT_EQ(gradient[i], 0.0F);
    }
  }
}

TEST(FieldLoss, GradientsAreThoseOfTheLossAndOfTheInteriorAlone) {
  const Interior interior(grid, BoundaryRing(grid, 2));
  const CosineSpectrum spectrum(interior.rows(), interior.columns());
  check_gradient([&](const auto& x, const auto& wanted, auto& gradient) {
    return squared_error(interior, x, wanted, 0.3, 1, gradient);
  });
  check_gradient([&](const auto& x, const auto& wanted, auto& gradient) {
    return spectral_error(interior, spectrum, x, wanted, 1, gradient);
  });
}

TEST(FieldLoss, SpectralErrorSeesWhatIsSmoothAndNotWhereItIs) {
  const Interior interior(grid, BoundaryRing(grid, 2));
  const CosineSpectrum spectrum(interior.rows(), interior.columns());
  const std::vector<float> wanted = random_numbers("wanted");
  std::vector<float> smooth = wanted, mirrored = wanted, unused(grid.size());
  for (float& value : smooth) value *= 0.5F;
  for (std::size_t y = 0; y < 9; ++y)
    for (std::size_t x = 0; x < 11; ++x) mirrored[y * 11 + x] = wanted[y * 11 + 10 - x];
  EXPECT_NEAR(spectral_error(interior, spectrum, wanted, wanted, 1, unused), 0, 1e-12);
  EXPECT_NEAR(spectral_error(interior, spectrum, mirrored, wanted, 1, unused), 0, 1e-12);
  EXPECT_NEAR(spectral_error(interior, spectrum, smooth, wanted, 1, unused), 0.25, 1e-3);
}

}  // namespace
}  // namespace zonda::model
