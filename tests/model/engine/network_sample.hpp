#pragma once
// A small network with random weights and the fields of one step.
#include "core/grid.hpp"
#include "model/network/forecast_network.hpp"
#include "operation_bench.hpp"

namespace zonda::model::testing {

/// Width 16, 4 blocks, 2 heads (one vector long): every kind of block, small enough for central differences.
inline NetworkConfig smallest_network() {
  NetworkConfig config;
  config.preset = "tiny";
  config.width = 32;
  config.heads = 2;
  config.window_rows = 2;
  config.window_columns = 3;
  config.mlp_ratio = 2;
  return config;
}

/// Every parameter away from its start, so that gates are open and the head is not zero; a part as the whole.
inline void randomise(ParameterStore& store, double scale = 0.1) {
  store.allocate_values();
  for (ParameterId id = 0; id < static_cast<ParameterId>(store.list().size()); ++id) {
    const Parameter& p = store.at(id);
    const Philox random(11, p.name);
    for (std::int64_t i = 0; i < p.count; ++i)
      set(store.value(id), i,
          static_cast<double>(static_cast<float>(
              p.initial_value + scale * random.normal(static_cast<std::uint64_t>(p.cut ? p.cut->index(i) : i)))));
  }
}

/// Copies the parameters that both networks have.
inline void copy_known(const ParameterStore& from, ParameterStore& to) {
  for (ParameterId id = 0; id < static_cast<ParameterId>(to.list().size()); ++id) {
    const ParameterId known = from.find(to.at(id).name);
    if (known < 0) continue;
    for (std::int64_t i = 0; i < to.at(id).count; ++i) set(to.value(id), i, get(from.value(known), i));
  }
  to.values_changed();
}

struct Sample {
  Sample(const NetworkConfig& config, const Grid& grid, int batch, DType dtype, Use use,
         std::shared_ptr<Backend> backend = nullptr)
      : network(config, grid, inputs, outputs, conditions, dtype, std::move(backend), levels()), numbers(dtype) {
    const auto rows = static_cast<std::int64_t>(grid.nlat()), columns = static_cast<std::int64_t>(grid.nlon());
    in = {batch, inputs, rows, columns};
    out = {batch, outputs, rows, columns};
    x = numbers.add(in, "x");
    condition = numbers.add({batch, conditions}, "condition");
    y = numbers.zeros(out);
    w = numbers.add(out, "w");
    dx = numbers.zeros(in);
    network.plan(batch, use);
  }
  /// Of the input channels, for embeddings by levels.
  static std::vector<int> levels() { return {0, 1, 1, 0, 2}; }
  static constexpr int inputs = 5, outputs = 3, conditions = 4;
  ForecastNetwork network;
  Operands numbers;
  Shape in, out;
  Tensor x, condition, y, w, dx;
};

}  // namespace zonda::model::testing
