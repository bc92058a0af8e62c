// The loss on the CUDA backend: the CPU's value, and the same bits of a chunk of rows in whichever images it lies.
#include <gtest/gtest.h>

#include "emulated_backend.hpp"
#include "operation_bench.hpp"

namespace zonda::model::testing {
namespace {

constexpr std::int64_t rows = 40, columns = 11;
const std::vector<std::int64_t> cuts{0, 3, 20, 22, 40};
const std::vector<float> channel_weight{1.0F, 0.5F};

struct Scored {
  double loss = 0;
  std::vector<double> parts;
  std::vector<float> gradient;  // [sample, channel, row, lon]
};

/// Of rows [cuts[first], cuts[last]) of two fields of one sample.
Scored score(Backend& backend, std::size_t first, std::size_t last) {
  const std::int64_t begin = cuts[first], height = cuts[last] - begin;
  const Shape whole{1, 2, rows, columns}, shape{1, 2, height, columns};
  const auto rows_of = [&](const char* name) {
    std::vector<float> all(static_cast<std::size_t>(whole.count())), part;
    const Philox random(5, name);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<float>(random.normal(i));
    for (std::int64_t c = 0; c < 2; ++c)
      part.insert(part.end(), all.begin() + (c * rows + begin) * columns,
                  all.begin() + (c * rows + begin + height) * columns);
    return part;
  };
  const std::vector<float> p = rows_of("p"), t = rows_of("t");
  Operands operands(DType::f32, backend.memory());
  const Tensor prediction = operands.zeros(shape), target = operands.zeros(shape), gradient = operands.zeros(shape);
  backend.memory().copy_in(prediction.data, p.data(), prediction.bytes());
  backend.memory().copy_in(target.data, t.data(), target.bytes());
  std::vector<double> weights;
  std::vector<std::int64_t> own;
  for (std::int64_t i = 0; i < height; ++i) weights.push_back(1 + 0.01 * static_cast<double>(begin + i));
  for (std::size_t g = first; g <= last; ++g) own.push_back(cuts[g] - begin);
  Scored scored;
  scored.parts.resize(last - first);
  scored.gradient.resize(p.size());
  Arena arena(backend.memory());
  Context ctx(backend, arena, DType::f32);
  scored.loss = backend.loss(ctx, {LossKind::squared, weights, channel_weight, {}, {rows, own, scored.parts}},
                             prediction, target, gradient, 1);
  backend.memory().copy_out(scored.gradient.data(), gradient.data, gradient.bytes());
  return scored;
}

TEST(CudaLoss, OfRowsHasTheBitsOfTheWhole) {
  const auto backend = emulated_cuda_backend();
  const Scored whole = score(*backend, 0, 4), expected = score(*make_backend("cpu", 1), 0, 4);
  EXPECT_NEAR(whole.loss, expected.loss, 1e-12 * expected.loss);
  for (std::size_t g = 0; g < 4; ++g) EXPECT_NEAR(whole.parts[g], expected.parts[g], 1e-12 * expected.loss);
  for (const std::size_t slabs : {2, 4})
    for (std::size_t s = 0; s < slabs; ++s) {
      const std::size_t each = 4 / slabs, first = s * each;
      const Scored slab = score(*backend, first, first + each);
      for (std::size_t g = 0; g < each; ++g) EXPECT_EQ(slab.parts[g], whole.parts[first + g]);
      const std::int64_t begin = cuts[first], height = cuts[first + each] - begin;
      for (std::int64_t c = 0; c < 2; ++c)
        for (std::int64_t i = 0; i < height * columns; ++i)
          ASSERT_EQ(slab.gradient[static_cast<std::size_t>(c * height * columns + i)],
                    whole.gradient[static_cast<std::size_t>((c * rows + begin) * columns + i)]);
    }
}

}  // namespace
}  // namespace zonda::model::testing
