// A network lifted to a finer grid: what it keeps of the coarse one, what it learns, and what its output looks like.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <numbers>

#include "model/ops/loss.hpp"
#include "model/ops/optimiser.hpp"
#include "network_sample.hpp"

namespace zonda::model::testing {
namespace {

NetworkConfig lifted(NetworkConfig config, int factor, int blocks) {
  config.lift = LiftConfig{factor, blocks};
  return config;
}

/// The position's view of cell size, which a sub-field and a coarse grid share only up to the curvature of the Earth.
void forget_cell_size(ParameterStore& store) {
  const Tensor position = store.value(store.find("embedding.position.weight"));
  for (std::int64_t feature = 0; feature < position.shape[0]; ++feature)
    for (std::int64_t i = 0; feature % 6 >= 4 && i < position.shape[1]; ++i)
      set(position, feature * position.shape[1] + i, 0);
}

void close_last_convolution(ParameterStore& store) {
  const Tensor weight = store.value(store.find("head.convolution2.weight"));
  for (std::int64_t i = 0; i < weight.count(); ++i) set(weight, i, 0);
}

TEST(Lift, BeginsAsTheCoarseNetworkOnEachSubField) {
  constexpr int r = 2, p = 2, rows = 16, columns = 24;
  for (const char* embedding : {"channels", "levels"}) {
    NetworkConfig config = smallest_network();
    config.embedding = embedding;
    Sample fine(lifted(config, r, 2), Grid::regional(60, 60 - (rows - 1), rows, 10, 10 + columns - 1, columns), 1,
                DType::f64, Use::inference);
    fine.network.initialise(5);
    for (int a = 0; a < r; ++a)
      for (int b = 0; b < r; ++b) {
        // Two degrees a point, with the token centres of the sub-field.
        const double north = 60 + 0.5 - p * a, west = 10 - 0.5 + p * b;
        Sample coarse(config,
                      Grid::regional(north, north - (rows - r), rows / r, west, west + columns - r, columns / r), 1,
                      DType::f64, Use::inference);
        randomise(coarse.network.parameters());
        forget_cell_size(coarse.network.parameters());
        close_last_convolution(coarse.network.parameters());
        copy_known(coarse.network.parameters(), fine.network.parameters());
        const auto point = [&](std::int64_t channel, std::int64_t i, std::int64_t j) {
          return (channel * rows + (i / p * r + a) * p + i % p) * columns + (j / p * r + b) * p + j % p;
        };
        const auto for_points = [&](int channels, auto&& f) {
          std::int64_t at = 0;
          for (std::int64_t c = 0; c < channels; ++c)
            for (std::int64_t i = 0; i < rows / r; ++i)
              for (std::int64_t j = 0; j < columns / r; ++j) f(at++, point(c, i, j));
        };
        for_points(Sample::inputs, [&](auto here, auto there) { set(coarse.x, here, get(fine.x, there)); });
        coarse.network.forward(coarse.x, coarse.condition, coarse.y);
        fine.network.forward(fine.x, fine.condition, fine.y);
        double largest = 0;
        for (std::int64_t i = 0; i < coarse.y.count(); ++i) largest = std::max(largest, std::abs(get(coarse.y, i)));
        ASSERT_GT(largest, 0.1);
        for_points(Sample::outputs, [&](auto here, auto there) {
          ASSERT_NEAR(get(fine.y, there), get(coarse.y, here), 1e-12 * largest) << a << b;
        });
      }
  }
}

TEST(Lift, AddsOnlyWhatTheCoarseNetworkMayLack) {
  const Grid grid = Grid::gaussian(16, 24);
  NetworkConfig config = smallest_network(), extended = lifted(config, 2, 3);
  extended.lora = LoraConfig{2, {1.0}};
  extended.noise = 4;
  const ForecastNetwork coarse(config, grid, 5, 3, 4), fine(extended, grid, 5, 3, 4);
  std::int64_t additions = 0;
  for (const Parameter& p : fine.parameters().list()) {
    EXPECT_EQ(is_addition(p.name), coarse.parameters().find(p.name) < 0) << p.name;
    additions += is_addition(p.name) ? p.count : 0;
  }
  EXPECT_EQ(fine.parameter_count(), coarse.parameter_count() + additions);
}

TEST(Lift, ItsOwnBlocksStandAfterEveryPart) {
  // 8 blocks and 4 of the lift's own: the third of these changes the output if and only if it is not at its start.
  NetworkConfig config = smallest_network();
  config.blocks = 8;
  Sample s(lifted(config, 2, 4), Grid::gaussian(16, 24), 1, DType::f64, Use::inference);
  Sample plain(lifted(config, 2, 0), Grid::gaussian(16, 24), 1, DType::f64, Use::inference);
  s.network.initialise(2);
  randomise(plain.network.parameters());
  copy_known(plain.network.parameters(), s.network.parameters());
  const auto difference = [&] {
    s.network.forward(s.x, s.condition, s.y);
    plain.network.forward(plain.x, plain.condition, plain.y);
    double largest = 0;
    for (std::int64_t i = 0; i < s.y.count(); ++i) largest = std::max(largest, std::abs(get(s.y, i) - get(plain.y, i)));
    return largest;
  };
  EXPECT_EQ(difference(), 0);
  for (const char* part :
       {"lift0.projection.weight", "lift1.down.weight", "lift2.convolution.weight", "lift3.down.bias"}) {
    const Tensor weight = s.network.parameters().value(s.network.parameters().find(part));
    for (std::int64_t i = 0; i < weight.count(); ++i) set(weight, i, 0.05);
    EXPECT_GT(difference(), 1e-4) << part;
    for (std::int64_t i = 0; i < weight.count(); ++i) set(weight, i, 0);
  }
}

/// The architecture of the preset ghr, lift of 2 from 64x128, small in every other way.
TEST(Lift, ATrainingStepOfGhrLearnsAroundAFrozenNetwork) {
  NetworkConfig config;
  config.preset = "ghr";
  config.patch = 4;
  config.width = 64;
  config.heads = 4;
  config.blocks = 4;
  config.window_rows = config.window_columns = 4;
  config.mlp_ratio = 2;
  config.recompute = "block";
  for (const char* precision : {"fp32", "bf16"}) {
    config.precision = precision;
    NetworkConfig meta = config;
    meta.preset = "meta";
    ForecastNetwork coarse(meta, Grid::latlon(64, 128, false), Sample::inputs, Sample::outputs, Sample::conditions,
                           DType::f32, nullptr, Sample::levels());
    Sample s(lifted(config, 2, 4), Grid::latlon(128, 256, false), 1, DType::f32, Use::training);
    ParameterStore& store = s.network.parameters();
    s.network.initialise(1);
    randomise(coarse.parameters(), 0.03);
    copy_known(coarse.parameters(), store);
    s.network.freeze_lifted();
    store.allocate_optimiser(false);
    const Tensor gradient = s.numbers.zeros(s.out);
    const std::vector<float> channels(Sample::outputs, 1.0F);
    const std::vector<float> before(store.values().span<float>().begin(), store.values().span<float>().end());
    const Grid& grid = s.network.grid();
    std::vector<double> losses;
    for (int step = 1; step <= 6; ++step) {
      store.zero_gradients();
      s.network.forward(s.x, s.condition, s.y);
      losses.push_back(weighted_loss(LossKind::squared, s.y, s.w, grid.row_weights(), channels, {}, gradient));
      s.network.backward(gradient, {});
      adamw_step(store, {.learning_rate = 2e-3, .weight_decay = 0.1}, step);
    }
    for (std::size_t i = 1; i < losses.size(); ++i) EXPECT_LT(losses[i], losses[i - 1]) << precision;
    int frozen = 0, learned = 0;
    for (const Parameter& p : store.list()) {
      const auto offset = static_cast<std::size_t>(p.offset), count = static_cast<std::size_t>(p.count);
      const bool same =
          std::memcmp(before.data() + offset, store.values().as<float>() + offset, count * sizeof(float)) == 0;
      EXPECT_EQ(same, p.frozen) << p.name;
      const auto gradients = store.gradients().span<float>().subspan(offset, count);
      const bool untouched = std::all_of(gradients.begin(), gradients.end(), [](float g) { return g == 0; });
      EXPECT_TRUE(!p.frozen || untouched) << p.name;
      ++(p.frozen ? frozen : learned);
    }
    EXPECT_GT(frozen, 40);
    EXPECT_GT(learned, 40);
  }
}

/// Power along longitude of an image's rows, [columns / 2 + 1], over all channels and rows.
std::vector<double> spectrum(const Tensor& y) {
  const std::int64_t columns = y.shape[3], rows = y.count() / columns;
  std::vector<double> power(static_cast<std::size_t>(columns / 2 + 1));
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::size_t k = 0; k < power.size(); ++k) {
      std::complex<double> sum = 0;
      for (std::int64_t j = 0; j < columns; ++j)
        sum += get(y, row * columns + j) *
               std::polar(1.0, -2 * std::numbers::pi * double(k) * double(j) / double(columns));
      power[k] += std::norm(sum);
    }
  return power;
}

/// Power at a wavenumber over the median of the eight around it.
double peak(const std::vector<double>& power, std::size_t k) {
  std::vector<double> around;
  for (std::size_t d = 1; d <= 4; ++d) {
    around.push_back(power[k - d]);
    around.push_back(power[k + d]);
  }
  std::nth_element(around.begin(), around.begin() + 4, around.end());
  return power[k] / around[4];
}

TEST(Lift, LeavesNoCheckerboard) {
  // A field of the longest waves through random weights. Taking pixels apart instead of tokens, and decoding the
  // sub-fields one by one, gives tokens r p pixels wide, and a peak at that wavelength.
  constexpr int r = 3, p = 2, rows = 24, columns = 144;
  NetworkConfig config = smallest_network();
  config.window_rows = config.window_columns = 4;
  const auto smooth = [](const Tensor& x) {
    const std::int64_t width = x.shape[3], height = x.shape[2];
    for (std::int64_t i = 0; i < x.count(); ++i) {
      const double lon = 2 * std::numbers::pi * double(i % width) / double(width),
                   lat = std::numbers::pi * double(i / width % height) / double(height);
      const double c = 1 + double(i / (width * height));
      set(x, i, std::sin(lat) * (std::cos(lon + c) + 0.5 * std::sin(2 * lon - 3 * c)) + 0.3 * std::cos(c * lat));
    }
  };
  Sample fine(lifted(config, r, 2), Grid::latlon(rows, columns, false), 1, DType::f64, Use::inference);
  randomise(fine.network.parameters());
  smooth(fine.x);
  fine.network.forward(fine.x, fine.condition, fine.y);

  const Tensor apart = fine.numbers.zeros(fine.out);
  Sample coarse(config, Grid::latlon(rows / r, columns / r, false), 1, DType::f64, Use::inference);
  randomise(coarse.network.parameters());
  const auto pixel = [](std::int64_t i, int a, int b) {
    const std::int64_t row = i / (columns / r), column = i % (columns / r);
    return (row / (rows / r) * rows + row % (rows / r) * r + a) * columns + column * r + b;
  };
  for (int a = 0; a < r; ++a)
    for (int b = 0; b < r; ++b) {
      for (std::int64_t i = 0; i < coarse.x.count(); ++i) set(coarse.x, i, get(fine.x, pixel(i, a, b)));
      coarse.network.forward(coarse.x, coarse.condition, coarse.y);
      for (std::int64_t i = 0; i < coarse.y.count(); ++i) set(apart, pixel(i, a, b), get(coarse.y, i));
    }
  const double ours = peak(spectrum(fine.y), columns / (r * p)), theirs = peak(spectrum(apart), columns / (r * p));
  EXPECT_LT(ours, 2);
  EXPECT_GT(theirs, 10 * ours);
}

}  // namespace
}  // namespace zonda::model::testing
