// What training and inference ask of the CUDA backend besides the network's operations: scores of ensembles, optimiser
// steps with bf16 copies, products of bytes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.hpp"
#include "emulated_backend.hpp"
#include "model/ops/cuda/device_query.hpp"
#include "model/ops/gelu.hpp"
#include "operation_bench.hpp"

namespace zonda::model::testing {
namespace {

std::vector<float> fetch(const Tensor& t, Memory& memory) {
  std::vector<float> numbers(static_cast<std::size_t>(t.count()));
  memory.copy_out(numbers.data(), t.data, t.bytes());
  return numbers;
}

struct Scored {
  double score = 0;
  std::vector<double> parts;
  std::vector<float> gradient;
};

/// Two ensembles of images of 19 rows in two chunks, one target missing; the gradient lies where the prediction was.
Scored crps(Backend& backend, int members, bool deferred = false) {
  constexpr std::int64_t rows = 19, columns = 7;
  const Shape shape{2 * members, 3, rows, columns};
  Operands operands(DType::f32, backend.memory());
  const Tensor x = operands.add(shape, "x"), t = operands.add(shape, [&](std::int64_t i) {
    return i == 40 ? std::numeric_limits<double>::quiet_NaN() : Philox(3, "t").normal(static_cast<std::uint64_t>(i));
  });
  const std::vector<float> channel_weight{1.0F, 0.25F, 3.0F};
  const std::vector<std::int64_t> cuts{0, 17, rows};
  std::vector<double> row_weight;
  for (std::int64_t i = 0; i < rows; ++i) row_weight.push_back(0.5 + 0.05 * static_cast<double>(i));
  Scored scored;
  scored.parts.resize(2);
  Arena arena(backend.memory());
  Context ctx(backend, arena, DType::f32);
  LossTerms terms{LossKind::squared, row_weight, channel_weight, {}, {2 * rows, cuts, {}}};
  if (deferred) {
    const Tensor parts = operands.zeros({2}, DType::f64);
    backend.crps_parts(ctx, terms, members, x, t, x, 0.5, parts);
    backend.memory().copy_out(scored.parts.data(), parts.data, parts.bytes());
    scored.score = scored.parts[0] + scored.parts[1];
  } else {
    terms.rows.parts = scored.parts;
    scored.score = backend.crps(ctx, terms, members, x, t, x, 0.5);
  }
  scored.gradient = fetch(x, backend.memory());
  return scored;
}

void expect_equal(const Scored& found, const Scored& expected) {
  EXPECT_NEAR(found.score, expected.score, 1e-6 * std::abs(expected.score));
  for (std::size_t g = 0; g < expected.parts.size(); ++g)
    EXPECT_NEAR(found.parts[g], expected.parts[g], 1e-6 * std::abs(expected.score)) << "chunk " << g;
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < expected.gradient.size(); ++i) {
    largest = std::max(largest, std::abs(double(expected.gradient[i])));
    error = std::max(error, std::abs(double(found.gradient[i]) - double(expected.gradient[i])));
  }
  EXPECT_LE(error, 2e-6 * largest);
}

TEST(CudaCrps, EqualsTheCpus) {
  const auto cpu = make_backend("cpu", 1), cuda = emulated_cuda_backend();
  for (const int members : {2, 3, 8}) {
    SCOPED_TRACE(members);
    expect_equal(crps(*cuda, members), crps(*cpu, members));
    if (!cuda_devices().empty()) expect_equal(crps(*make_backend("cuda"), members), crps(*cpu, members));
  }
}

TEST(CudaCrps, PartsLeftOnTheDeviceAreThoseTheHostGets) {
  const auto cpu = make_backend("cpu", 1), cuda = emulated_cuda_backend();
  for (Backend* backend : {cpu.get(), cuda.get()}) {
    const Scored at_once = crps(*backend, 3), deferred = crps(*backend, 3, true);
    EXPECT_EQ(at_once.parts, deferred.parts);
    EXPECT_EQ(at_once.score, deferred.score);
    EXPECT_EQ(at_once.gradient, deferred.gradient);
  }
}

TEST(CudaCrps, MoreMembersThanABlockHoldsAreRefused) {
  const auto cuda = emulated_cuda_backend();
  EXPECT_THROW(crps(*cuda, 300), Error);
}

/// A store whose copies are up to date, before and after one step.
ParameterStore stepped(Backend& backend, bool copies) {
  ParameterStore store(DType::f32, backend.memory());
  store.add("matrix", {50, 31}, true, 0);
  store.add("frozen", {70}, true, 0);
  store.add("bias", {9}, false, 0);
  store.freeze([](std::string_view name) { return name == "frozen"; });
  store.allocate_values();
  store.zero_gradients();
  store.allocate_optimiser(false);
  std::vector<float> numbers(static_cast<std::size_t>(store.extent()));
  const auto fill = [&](const Tensor& arena, double factor) {
    for (const Parameter& p : store.list())
      for (std::int64_t i = 0; i < p.count; ++i)
        numbers[static_cast<std::size_t>(p.offset + i)] = static_cast<float>(std::sin(factor * double(i + p.offset)));
    backend.memory().copy_in(arena.data, numbers.data(), arena.bytes());
  };
  fill(store.values(), 0.1);
  fill(store.gradients(), 0.3);
  store.values_changed();
  if (copies) {
    store.allocate_copies();
    Arena none(backend.memory());
    Context ctx(backend, none, DType::f32);
    ctx->cast(ctx, store.values(), store.copies());
    store.copies_made();
  }
  adamw_step(store, {}, 1, 0, -1, &backend);
  return store;
}

TEST(AdamWCopies, AreTheNewValuesRounded) {
  std::vector<std::shared_ptr<Backend>> backends{make_backend("reference"), make_backend("cpu", 2),
                                                 emulated_cuda_backend()};
  if (!cuda_devices().empty()) backends.push_back(make_backend("cuda"));
  for (const auto& backend : backends) {
    SCOPED_TRACE(backend->name());
    const ParameterStore with = stepped(*backend, true), without = stepped(*backend, false);
    const std::vector<float> values = fetch(with.values(), backend->memory());
    EXPECT_EQ(values, fetch(without.values(), backend->memory()));  // copies change no bit
    EXPECT_FALSE(with.copies_stale());
    std::vector<BFloat16> copies(values.size());
    backend->memory().copy_out(copies.data(), with.copies().data, with.copies().bytes());
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(copies[i].bits, BFloat16(values[i]).bits) << i;
  }
}

TEST(AdamWCopies, OfAShareAreMadeAgainAsAWhole) {
  const auto backend = make_backend("cpu", 1);
  ParameterStore store = stepped(*backend, true);
  adamw_step(store, {}, 2, 0, 64, backend.get());
  EXPECT_TRUE(store.copies_stale());
}

struct Int8Result {
  std::vector<float> c, activated;
};

Int8Result int8_product(Backend& backend, Precision precision, std::int64_t m, std::int64_t n, std::int64_t k) {
  Operands operands(precision, backend.memory()), wide(kF32, backend.memory());
  const Tensor a = operands.add({m, k}, "a", 2, 0.3, true), bias = wide.add({n}, "bias"),
               w = wide.add({k, n},
                            [&](std::int64_t i) {
                              return i % n == 1
                                         ? 0.0
                                         : Philox(5, "w").normal(static_cast<std::uint64_t>(i));  // a column of zeros
                            }),
               values = wide.zeros({k, n}, DType::i8), scales = wide.zeros({n}), c = operands.zeros({m, n}, true),
               activated = operands.zeros({m, n}, true);
  run_planned(backend, precision, [&](Context& ctx) {
    ctx->quantise_columns(ctx, w, values, scales);
    GemmOptions options;
    options.bias = bias;
    options.activated = activated;
    ctx->gemm_int8(ctx, a, values, scales, c, options);
  });
  const auto numbers = [&](const Tensor& t) {
    const Tensor host = operands.on_host(t);
    std::vector<float> all;
    for (std::int64_t i = 0; i < host.count(); ++i) all.push_back(static_cast<float>(get(host, i)));
    return all;
  };
  return {numbers(c), numbers(activated)};
}

TEST(CudaInt8, EqualsTheReference) {
  struct Case {
    std::int64_t m, n, k;
  };
  const auto reference = make_backend("reference");
  std::vector<std::shared_ptr<Backend>> backends{emulated_cuda_backend()};
  if (!cuda_devices().empty()) backends.push_back(make_backend("cuda"));
  for (const auto& backend : backends)
    for (const Case& size : {Case{37, 12, 20}, Case{9, 7, 33}, Case{64, 32, 48}})  // the library's, and odd ones
      for (const Precision& precision : {kF32, kMixed}) {
        const Int8Result found = int8_product(*backend, precision, size.m, size.n, size.k),
                         expected = int8_product(*reference, precision, size.m, size.n, size.k);
        const double tolerance = precision.half == DType::bf16 ? 0x1p-7 : 1e-6;
        for (std::size_t i = 0; i < expected.c.size(); ++i) {
          const double scale = std::max(1.0, std::abs(double(expected.c[i])));
          ASSERT_NEAR(found.c[i], expected.c[i], tolerance * scale) << precision.name() << " " << i;
          ASSERT_NEAR(found.activated[i], expected.activated[i], tolerance * scale) << precision.name() << " " << i;
        }
      }
}

}  // namespace
}  // namespace zonda::model::testing
