#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.hpp"
#include "model/ops/cuda/device_query.hpp"
#include "model/ops/loss.hpp"
#include "model/ops/optimiser.hpp"
#include "operation_bench.hpp"

namespace zonda::model::testing {
namespace {

ParameterStore filled_store(DType dtype, std::int64_t n = 5000) {
  ParameterStore store(dtype);
  store.add("matrix", {n, 3}, true, 0);
  store.add("bias", {7}, false, 0);
  store.allocate_values();
  store.zero_gradients();
  store.allocate_optimiser(true);
  for (ParameterId id = 0; id < 2; ++id)
    for (std::int64_t i = 0; i < store.at(id).count; ++i) {
      set(store.value(id), i, std::sin(0.1 * static_cast<double>(i)));
      set(store.gradient(id), i, std::cos(0.3 * static_cast<double>(i)));
    }
  return store;
}

TEST(AdamW, FollowsItsDefinition) {
  for (DType dtype : {DType::f64, DType::f32}) {
    ParameterStore store = filled_store(dtype);
    const AdamW options{.learning_rate = 0.01, .weight_decay = 0.1, .gradient_scale = 0.5};
    double w[2], m[2] = {0, 0}, v[2] = {0, 0};
    for (ParameterId id : {0, 1}) w[id] = get(store.value(id), 5);
    for (int step = 1; step <= 3; ++step) {
      adamw_step(store, options, step);
      for (ParameterId id : {0, 1}) {
        const double g = 0.5 * get(store.gradient(id), 5);
        m[id] = 0.9 * m[id] + 0.1 * g;
        v[id] = 0.95 * v[id] + 0.05 * g * g;
        const double mh = m[id] / (1 - std::pow(0.9, step)), vh = v[id] / (1 - std::pow(0.95, step));
        w[id] -= 0.01 * (mh / (std::sqrt(vh) + 1e-8) + (id == 0 ? 0.1 : 0.0) * w[id]);
        EXPECT_NEAR(get(store.value(id), 5), w[id], dtype == DType::f64 ? 1e-14 : 1e-6);
      }
    }
  }
}

TEST(AdamW, ShardsGiveTheBitsOfTheWhole) {
  ParameterStore whole = filled_store(DType::f32), parts = filled_store(DType::f32);
  adamw_step(whole, {}, 1);
  const std::int64_t cut = 6400;
  adamw_step(parts, {}, 1, 0, cut);
  adamw_step(parts, {}, 1, cut);
  EXPECT_EQ(std::memcmp(whole.values().data, parts.values().data, whole.values().bytes()), 0);
  EXPECT_THROW(adamw_step(parts, {}, 1, 0, parts.extent() + 1), Error);
}

TEST(GradientNorm, IsTheSameOnAnyNumberOfThreads) {
  const ParameterStore store = filled_store(DType::f32, 200000);
  double sum = 0;
  for (ParameterId id : {0, 1})
    for (std::int64_t i = 0; i < store.at(id).count; ++i)
      sum += get(store.gradient(id), i) * get(store.gradient(id), i);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const double one = gradient_norm(store);
  omp_set_num_threads(4);
  const double four = gradient_norm(store);
  omp_set_num_threads(before);
  EXPECT_EQ(one, four);
  EXPECT_NEAR(one, std::sqrt(sum), 1e-9 * one);
}

TEST(GradientNorm, IsMadeOfPiecesThatSharesHoldWhole) {
  const ParameterStore store = filled_store(DType::f32, 100000);
  const std::vector<double> whole = gradient_square_sums(store, 0, store.extent());
  std::vector<double> joined;
  for (const std::int64_t cut : {std::int64_t{0}, optimiser_piece, 3 * optimiser_piece, store.at(1).offset}) {
    const std::int64_t end = cut == 0                     ? optimiser_piece
                             : cut == optimiser_piece     ? 3 * optimiser_piece
                             : cut == store.at(1).offset ? store.extent()
                                                          : store.at(1).offset;
    EXPECT_EQ(count_pieces(store, cut, end - cut), gradient_square_sums(store, cut, end - cut).size());
    for (const double sum : gradient_square_sums(store, cut, end - cut)) joined.push_back(sum);
  }
  EXPECT_EQ(joined, whole);
  EXPECT_EQ(count_pieces(store, 7, 20), 0U) << "a piece belongs to where it begins";
}

TEST(Average, MovesTowardsTheValues) {
  ParameterStore store = filled_store(DType::f32);
  const float start = store.average(0).as<float>()[9];
  const float value = store.value(0).as<float>()[9];
  average_update(store, 0.75);
  EXPECT_NEAR(store.average(0).as<float>()[9], start + 0.25f * (value - start), 1e-6f);
  EXPECT_EQ(store.value(0).as<float>()[9], value);
  scale_gradients(store, 0);
  EXPECT_EQ(gradient_norm(store), 0.0);
}

TEST(Loss, WeighsRowsChannelsAndSamples) {
  for (DType dtype : {DType::f64, DType::f32})
    for (LossKind kind : {LossKind::squared, LossKind::absolute}) {
      Operands operands(dtype);
      const Shape shape{2, 3, 4, 5};
      const Tensor p = operands.add(shape, "p"), t = operands.add(shape, "t"), g = operands.add(shape, "garbage");
      const std::vector<double> rows{0.5, 1.5, 1.25, 0.75};
      const std::vector<float> channels{1.0f, 0.1f, 2.0f}, samples{1.0f, 0.5f};
      double expected = 0;
      std::vector<double> per_channel(3), expected_channel(3);
      for (std::int64_t i = 0; i < p.count(); ++i) {
        const auto b = static_cast<std::size_t>(i / 60), c = static_cast<std::size_t>(i / 20 % 3),
                   r = static_cast<std::size_t>(i / 5 % 4);
        const double e = get(p, i) - get(t, i), d = kind == LossKind::squared ? e * e : std::abs(e);
        expected += double(samples[b]) * double(channels[c]) * rows[r] * d / (40 * double(3.1f));
        expected_channel[c] += double(samples[b]) * rows[r] * d / 40;
      }
      const double loss = weighted_loss(kind, p, t, rows, channels, samples, g, 1.0, per_channel);
      EXPECT_NEAR(loss, expected, 1e-6 * expected);
      for (std::size_t c = 0; c < 3; ++c) EXPECT_NEAR(per_channel[c], expected_channel[c], 1e-6 * expected_channel[c]);
      if (dtype != DType::f64) continue;
      const double before = get(p, 33);
      double side[2];
      for (int s = 0; s < 2; ++s) {
        set(p, 33, before + (s == 0 ? 1e-6 : -1e-6));
        side[s] = weighted_loss(kind, p, t, rows, channels, samples, {});
      }
      EXPECT_NEAR(get(g, 33), (side[0] - side[1]) / 2e-6, 1e-7);
    }
}

TEST(Loss, LeavesMissingTargetsOutAndShowsBadPredictions) {
  Operands operands(DType::f32);
  const Shape shape{1, 1, 2, 20};
  const Tensor p = operands.add(shape, "p"), t = operands.add(shape, "p"), g = operands.add(shape, "garbage");
  const std::vector<double> rows{1, 1};
  const std::vector<float> channels{1};
  set(t, 3, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(weighted_loss(LossKind::squared, p, t, rows, channels, {}, g), 0.0);
  EXPECT_EQ(get(g, 3), 0.0);
  set(p, 4, std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(std::isnan(weighted_loss(LossKind::squared, p, t, rows, channels, {}, g)));
  EXPECT_TRUE(std::isnan(weighted_loss(LossKind::absolute, p, t, rows, channels, {}, g)));
  const std::vector<double> three{1, 1, 1};
  EXPECT_THROW(weighted_loss(LossKind::squared, p, t, three, channels, {}, g), Error);
}

TEST(Cuda, TheQueryAnswersWithoutADevice) {
  const CudaLibraries libraries = cuda_libraries();
  for (const DeviceInfo& device : cuda_devices()) {
    EXPECT_TRUE(libraries.compiled);
    EXPECT_FALSE(device.name.empty());
    EXPECT_GT(device.memory_bytes, 0u);
    EXPECT_GE(device.compute_major, 1);
  }
  EXPECT_EQ(libraries.runtime.empty(), !libraries.compiled);
}

}  // namespace
}  // namespace zonda::model::testing
