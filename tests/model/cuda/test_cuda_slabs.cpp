// Networks on slabs of latitude, rows travelling through the host: the bits of one device on several.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/grid.hpp"
#include "core/philox.hpp"
#include "emulated_backend.hpp"
#include "model/network/forecast_network.hpp"
#include "parallel/canonical.hpp"

namespace zonda::model::testing {
namespace {

using Numbers = std::vector<float>;

struct Outcome {
  Numbers prediction, input_gradient, gradients;
};

constexpr int kBatch = 2, kInputs = 5, kOutputs = 2, kConditions = 4;

Numbers random(std::int64_t n, const std::string& name) {
  const Philox philox(11, name);
  Numbers numbers;
  for (std::int64_t i = 0; i < n; ++i)
    numbers.push_back(static_cast<float>(philox.normal(static_cast<std::uint64_t>(i))));
  return numbers;
}

/// Between an image of the whole grid, [B, C, H, W], and a slab's rows of it.
void for_rows(const Grid& grid, parallel::Range mine, int channels, auto&& copy) {
  const std::size_t columns = grid.nlon();
  for (std::size_t plane = 0; plane < static_cast<std::size_t>(kBatch * channels); ++plane)
    copy((plane * grid.nlat() + mine.begin) * columns, plane * mine.size() * columns, mine.size() * columns);
}

void on_rank(const NetworkConfig& config, const Grid& grid, const parallel::Communicator& ranks, Outcome& outcome) {
  const std::shared_ptr<Backend> backend = emulated_cuda_backend();
  Memory& memory = backend->memory();
  ForecastNetwork network(config, grid, kInputs, kOutputs, kConditions, DType::f32, backend, {0, 1, 1, 0, 2},
                          {ranks, 4});
  const parallel::Range mine = network.slab().image_rows();
  const auto rows = static_cast<std::int64_t>(mine.size()), columns = static_cast<std::int64_t>(grid.nlon());
  std::vector<Buffer> buffers;
  const auto tensor = [&](Shape shape) {
    buffers.emplace_back(static_cast<std::size_t>(shape.count()) * sizeof(float), memory);
    return Tensor(buffers.back().data(), shape, DType::f32, memory.device());
  };
  const auto filled = [&](const Tensor& t, const Numbers& values) {
    memory.copy_in(t.data, values.data(), t.bytes());
    return t;
  };
  const auto image = [&](int channels, const std::string& name) {
    const Numbers whole =
        random(static_cast<std::int64_t>(kBatch * channels) * static_cast<std::int64_t>(grid.size()), name);
    Numbers part(static_cast<std::size_t>(kBatch * channels * rows * columns));
    for_rows(grid, mine, channels, [&](std::size_t from, std::size_t to, std::size_t n) {
      std::copy_n(whole.data() + from, n, part.data() + to);
    });
    return filled(tensor({kBatch, channels, rows, columns}), part);
  };
  const Tensor x = image(kInputs, "x"), dy = image(kOutputs, "dy"), y = tensor(dy.shape), dx = tensor(x.shape),
               condition = filled(tensor({kBatch, kConditions}), random(kBatch * kConditions, "condition"));
  ParameterStore& store = network.parameters();
  store.allocate_values();
  for (const Parameter& p : store.list()) {
    Numbers values = random(p.count, p.name);
    for (float& value : values) value = p.initial_value + 0.1f * value;
    filled(store.value(store.find(p.name)), values);
  }
  store.values_changed();
  store.zero_gradients();
  network.plan(kBatch, Use::training);
  network.forward(x, condition, y);
  network.backward(dy, dx);

  const auto fetch = [&](const Tensor& t) {
    Numbers values(static_cast<std::size_t>(t.count()));
    memory.copy_out(values.data(), t.data, t.bytes());
    return values;
  };
  if (ranks.is_root()) {
    outcome.prediction.resize(kBatch * kOutputs * grid.size());
    outcome.input_gradient.resize(kBatch * kInputs * grid.size());
  }
  ranks.barrier();
  const auto put = [&](const Tensor& t, int channels, Numbers& whole) {
    const Numbers part = fetch(t);
    for_rows(grid, mine, channels, [&](std::size_t to, std::size_t from, std::size_t n) {
      std::copy_n(part.data() + from, n, whole.data() + to);
    });
  };
  put(y, kOutputs, outcome.prediction);
  put(dx, kInputs, outcome.input_gradient);
  const Numbers nodes = fetch(store.gradients());
  Numbers sums(nodes.size());
  for (const Bucket& bucket : network.buckets()) {
    const auto first = static_cast<std::size_t>(bucket.first), count = static_cast<std::size_t>(bucket.count);
    const std::span<const float> own = std::span(nodes).subspan(first, count);
    if (bucket.replicated)
      std::copy(own.begin(), own.end(), sums.begin() + bucket.first);
    else
      parallel::canonical_all_reduce(ranks, static_cast<std::size_t>(ranks.size()), count, own,
                                     std::span(sums).subspan(first, count));
  }
  if (ranks.is_root()) outcome.gradients = sums;
}

class CudaSlabs : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Parts, CudaSlabs, ::testing::Values("plain", "levels", "lift"),
                         [](const auto& each) { return each.param; });

TEST_P(CudaSlabs, GiveTheBitsOfOneDevice) {
  NetworkConfig config;
  config.preset = "tiny";
  config.blocks = 2;
  config.width = 32;
  config.heads = 2;
  config.windows = {"2x3"};
  config.mlp_ratio = 2;
  if (GetParam() == "levels") config.embedding = "levels";
  if (GetParam() == "lift") config.lift = LiftConfig{2, 2};
  const Grid grid = Grid::latlon(17, 8, true);  // 8 rows of tokens that share rows of grid points
  Outcome alone, shared;
  parallel::run_on_threads(1, [&](const parallel::Communicator& one) { on_rank(config, grid, one, alone); });
  parallel::run_on_threads(2, [&](const parallel::Communicator& two) { on_rank(config, grid, two, shared); });
  EXPECT_EQ(shared.prediction, alone.prediction);
  EXPECT_EQ(shared.input_gradient, alone.input_gradient);
  EXPECT_EQ(shared.gradients, alone.gradients);
  EXPECT_GT(*std::max_element(alone.gradients.begin(), alone.gradients.end()), 0);
}

}  // namespace
}  // namespace zonda::model::testing
