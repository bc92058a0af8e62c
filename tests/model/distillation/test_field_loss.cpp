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

/// spectral_error of one sample.
double error(const Interior& interior, const CosineSpectrum& spectrum, std::span<const float> x,
             std::span<const float> wanted, std::span<float> gradient) {
  const FieldPair pair{x, wanted, gradient};
  return spectral_error(interior, spectrum, std::span(&pair, 1), 1);
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
  EXPECT_NEAR(slope, difference, 4e-5 * std::abs(difference) + 1e-7);
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
    return error(interior, spectrum, x, wanted, gradient);
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
  EXPECT_NEAR(error(interior, spectrum, wanted, wanted, unused), 0, 1e-12);
  EXPECT_NEAR(error(interior, spectrum, mirrored, wanted, unused), 0, 1e-12);
  EXPECT_NEAR(error(interior, spectrum, smooth, wanted, unused), 0.25, 1e-3);
}

TEST(FieldLoss, SpectralErrorLeavesWavesThatTheGridDoesNotResolveToTheSquaredError) {
  const Interior interior(grid, BoundaryRing(grid, 2));
  const CosineSpectrum spectrum(interior.rows(), interior.columns());
  const std::vector<float> wanted = random_numbers("wanted");
  std::vector<double> modes(spectrum.size()), field(spectrum.size());
  spectrum.transform(interior.take(wanted), modes);
  for (std::size_t i = 1; i < modes.size(); ++i)
    if (spectrum.wavelength(spectrum.band(i)) < shortest_resolved_wave) modes[i] *= 2;
  spectrum.inverse(modes, field);
  std::vector<float> rough = wanted, unused(grid.size());
  for (std::size_t i = 0; i < field.size(); ++i) rough[interior.cells()[i]] = static_cast<float>(field[i]);
  EXPECT_GT(squared_error(interior, rough, wanted, 1, 1, unused), 0.1);
  EXPECT_NEAR(error(interior, spectrum, rough, wanted, unused), 0, 1e-10);
}

TEST(FieldLoss, SpectralErrorIsOfThePowerOfAllSamplesTogether) {
  const Interior interior(grid, BoundaryRing(grid, 2));
  const CosineSpectrum spectrum(interior.rows(), interior.columns());
  const std::vector<float> first = random_numbers("first"), second = random_numbers("second");
  std::vector<float> a(grid.size()), b(grid.size());
  // A sample of a tenth of the size counts as much as another.
  std::vector<float> little = first, smooth = first;
  for (float& value : little) value *= 0.1F;
  for (float& value : smooth) value *= 0.05F;
  const std::vector<FieldPair> quiet{{first, first, a}, {smooth, little, b}},
      loud{{first, first, a}, {second, second, b}};
  EXPECT_NEAR(spectral_error(interior, spectrum, loud, 1), 0, 1e-12);
  EXPECT_NEAR(spectral_error(interior, spectrum, quiet, 1), std::pow(1 - std::sqrt(0.625), 2), 3e-3);

  // The second sample's part of the gradient.
  check_gradient([&](const auto& x, const auto& wanted, auto& gradient) {
    const std::vector<FieldPair> pairs{{first, second, a}, {x, wanted, gradient}};
    return spectral_error(interior, spectrum, pairs, 1);
  });
}

}  // namespace
}  // namespace zonda::model
