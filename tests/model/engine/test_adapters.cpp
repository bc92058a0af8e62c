// Adapters by lead time and noise of ensemble members, in a whole network.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/error.hpp"
#include "model/ops/loss.hpp"
#include "model/ops/optimiser.hpp"
#include "network_sample.hpp"

namespace zonda::model::testing {
namespace {

NetworkConfig adapted() {
  NetworkConfig config = smallest_network();
  config.lora = LoraConfig{2, {1.0, 4.0}};
  return config;
}

std::vector<double> forecast(Sample& s, const std::vector<double>& leads) {
  s.network.set_leads(leads);
  s.network.forward(s.x, s.condition, s.y);
  std::vector<double> y;
  for (std::int64_t i = 0; i < s.y.count(); ++i) y.push_back(get(s.y, i));
  return y;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b, std::size_t first,
                          std::size_t count) {
  double largest = 0;
  for (std::size_t i = first; i < first + count; ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

TEST(Adapters, ChooseByTheLeadOfEachSample) {
  Sample s(adapted(), Grid::gaussian(8, 12), 2, DType::f64, Use::inference);
  randomise(s.network.parameters());
  const auto early = forecast(s, {0.25, 0.25}), late = forecast(s, {0.25, 4.0}), later = forecast(s, {0.75, 9.0});
  const std::size_t half = early.size() / 2;
  EXPECT_EQ(largest_difference(early, late, 0, half), 0);
  EXPECT_GT(largest_difference(early, late, half, half), 1e-3);
  EXPECT_EQ(largest_difference(late, later, 0, 2 * half), 0);
  EXPECT_THROW(s.network.set_leads(std::vector<double>{1.0}), Error);
}

TEST(Adapters, OffOnOneCheckpointIsTheBase) {
  const Grid grid = Grid::gaussian(8, 12);
  Sample base(smallest_network(), grid, 2, DType::f64, Use::inference),
      s(adapted(), grid, 2, DType::f64, Use::inference);
  randomise(base.network.parameters());
  // A base's checkpoint in a network with adapters: B is zero, nothing changes.
  s.network.initialise(1);
  copy_known(base.network.parameters(), s.network.parameters());
  const auto expected = forecast(base, {});
  EXPECT_EQ(forecast(s, {0, 9}), expected);
  // With adapters trained, the switch takes them out again, and back in.
  randomise(s.network.parameters());
  const auto on = forecast(s, {0, 9});
  EXPECT_GT(largest_difference(on, expected, 0, expected.size()), 1e-3);
  s.network.set_adapters(false);
  EXPECT_EQ(forecast(s, {0, 9}), expected);
  s.network.set_adapters(true);
  EXPECT_EQ(forecast(s, {0, 9}), on);
  // And the other way round: the base reads what it knows of the adapted checkpoint.
  copy_known(s.network.parameters(), base.network.parameters());
  EXPECT_EQ(forecast(base, {}), expected);
}

TEST(Adapters, MergeToRounding) {
  for (int bucket = 0; bucket < 3; ++bucket) {
    Sample s(adapted(), Grid::gaussian(8, 12), 2, DType::f64, Use::inference);
    randomise(s.network.parameters());
    const double lead = bucket == 0 ? 0.5 : bucket == 1 ? 2 : 5;
    const auto expected = forecast(s, {lead, lead});
    s.network.merge_adapters(bucket);
    const auto merged = forecast(s, {});
    double largest = 0;
    for (double value : expected) largest = std::max(largest, std::abs(value));
    EXPECT_LE(largest_difference(merged, expected, 0, expected.size()), 1e-12 * largest);
  }
  Sample s(adapted(), Grid::gaussian(8, 12), 2, DType::f64, Use::inference);
  randomise(s.network.parameters());
  EXPECT_THROW(s.network.merge_adapters(3), Error);
}

TEST(Adapters, LearnAloneOnAFrozenBase) {
  for (const char* precision : {"fp32", "bf16"}) {
    NetworkConfig config = adapted();
    config.precision = precision;
    Sample s(config, Grid::gaussian(16, 24), 2, DType::f32, Use::training);
    ParameterStore& store = s.network.parameters();
    s.network.initialise(1);
    NetworkConfig plain = config;
    plain.lora.reset();
    ForecastNetwork base(plain, Grid::gaussian(16, 24), Sample::inputs, Sample::outputs, Sample::conditions);
    randomise(base.parameters());
    copy_known(base.parameters(), store);
    s.network.freeze_base();
    store.allocate_optimiser(false);
    const std::vector<float> before(store.values().span<float>().begin(), store.values().span<float>().end());
    const Tensor gradient = s.numbers.zeros(s.out);
    const std::vector<float> channels(Sample::outputs, 1.0F);
    double first = 0, last = 0;
    const std::vector<double> leads{0.25, 2};
    for (int step = 1; step <= 20; ++step) {
      store.zero_gradients();
      s.network.set_leads(leads);
      s.network.forward(s.x, s.condition, s.y);
      last = weighted_loss(LossKind::squared, s.y, s.w, s.network.grid().row_weights(), channels, {}, gradient);
      if (step == 1) first = last;
      s.network.backward(gradient, {});
      adamw_step(store, {.learning_rate = 5e-3, .weight_decay = 0.1}, step);
    }
    EXPECT_LT(last, 0.95 * first) << precision;
    for (const Parameter& p : store.list()) {
      const auto offset = static_cast<std::size_t>(p.offset), count = static_cast<std::size_t>(p.count);
      const bool same =
          std::memcmp(before.data() + offset, store.values().as<float>() + offset, count * sizeof(float)) == 0;
      EXPECT_EQ(same, !is_addition(p.name)) << p.name;
    }
  }
}

TEST(Noise, TellsMembersApartOnceItsWeightsHaveLearned) {
  NetworkConfig config = smallest_network();
  config.noise = 8;
  Sample s(config, Grid::gaussian(8, 12), 2, DType::f32, Use::inference);
  std::vector<float> drawn(16), again(8);
  draw_noise(3, 7, 0, drawn, 8);
  draw_noise(3, 7, 1, again, 8);
  EXPECT_EQ(std::memcmp(drawn.data() + 8, again.data(), 8 * sizeof(float)), 0);  // the second member's, anywhere
  draw_noise(3, 8, 1, again, 8);
  EXPECT_NE(std::memcmp(drawn.data() + 8, again.data(), 8 * sizeof(float)), 0);  // another step's
  const Tensor noise = Tensor::of(drawn, {2, 8});
  const auto run = [&](const Tensor& with) {
    s.network.forward(s.x, s.condition, s.y, with);
    return std::vector<float>(s.y.span<float>().begin(), s.y.span<float>().end());
  };
  randomise(s.network.parameters());
  const Tensor weight = s.network.parameters().value(s.network.parameters().find("conditioning.noise.weight"));
  const std::vector<float> learned(weight.span<float>().begin(), weight.span<float>().end());
  const auto still = run({});
  EXPECT_NE(run(noise), still);
  std::fill(weight.span<float>().begin(), weight.span<float>().end(), 0.0F);
  EXPECT_EQ(run(noise), run({}));
  EXPECT_EQ(run({}), still);
  EXPECT_EQ(s.network.noise_size(), 8);
}

}  // namespace
}  // namespace zonda::model::testing
