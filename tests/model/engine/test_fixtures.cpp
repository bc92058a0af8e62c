// The modules and whole networks against PyTorch's numbers from the same weights: outputs, gradients of inputs and of
// every weight, losses over ten steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/grid.hpp"
#include "fixture.hpp"
#include "model/network/block.hpp"
#include "model/network/conditioning.hpp"
#include "model/network/embedding.hpp"
#include "model/network/forecast_network.hpp"
#include "model/network/head.hpp"
#include "model/network/sequences.hpp"
#include "operation_bench.hpp"

namespace zonda::model::testing {
namespace {

struct Precision {
  const char* name;
  const char* backend;
  DType dtype, trunk;
};
constexpr Precision kF64{"f64", "reference", DType::f64, DType::f64}, kF32{"f32", "cpu", DType::f32, DType::f32},
    kBf16{"bf16", "cpu", DType::f32, DType::bf16}, kPlainBf16{"plain_bf16", "reference", DType::f32, DType::bf16};

class Fixtures : public ::testing::TestWithParam<std::tuple<const char*, Precision>> {
 protected:
  Fixtures()
      : fixture_(std::get<0>(GetParam())),
        precision_(std::get<1>(GetParam())),
        numbers_(precision_.dtype),
        backend_(make_backend(precision_.backend, std::string(precision_.backend) == "cpu" ? 2 : 0)) {}

  int number(const char* key) const { return fixture_.description.at(key).get<int>(); }
  Grid grid() const { return Grid::parse(fixture_.description.at("grid").get<std::string>()); }

  void copy(const std::string& key, const Tensor& to) {
    const std::vector<double>& from = fixture_.at(key);
    ASSERT_EQ(static_cast<std::int64_t>(from.size()), to.count()) << key;
    for (std::int64_t i = 0; i < to.count(); ++i) set(to, i, from[static_cast<std::size_t>(i)]);
  }
  Tensor input(const std::string& name, Shape shape) {
    Tensor t = numbers_.zeros(shape);
    copy("input." + name, t);
    return t;
  }
  void read_parameters(ParameterStore& store, const std::string& prefix) {
    store.allocate_values();
    store.allocate_gradients();
    for (const Parameter& p : store.list())
      copy("parameter." + p.name.substr(prefix.size()), store.value(store.find(p.name)));
    store.values_changed();
  }

  /// Largest difference in f64 and f32; in bf16, the error's norm, which may be 1.5 times PyTorch's own. Tensors of few
  /// numbers draw lots: their relative errors are judged together.
  void compare(const std::string& key, const std::vector<double>& ours) {
    const std::vector<double>& right = fixture_.at(key);
    ASSERT_EQ(ours.size(), right.size()) << key;
    double largest = 0, worst = 0, square = 0, difference = 0;
    for (std::size_t i = 0; i < right.size(); ++i) {
      const double error = ours[i] - right[i];
      largest = std::max(largest, std::abs(right[i]));
      worst = std::max(worst, std::abs(error));
      square += right[i] * right[i];
      difference += error * error;
    }
    ASSERT_GT(largest, 0) << key;
    if (precision_.trunk == DType::bf16) {
      const double error = std::sqrt(difference / square), theirs = fixture_.at("error_bf16." + key)[0];
      if (right.size() >= kEnough) {
        EXPECT_LE(error, 1.5 * theirs) << key;
      } else {
        small_[0] += error * error;
        small_[1] += theirs * theirs;
      }
      return;
    }
    EXPECT_LE(worst / largest, precision_.dtype == DType::f64 ? 1e-10 : 1e-5) << key;
  }
  void compare(const std::string& key, const Tensor& ours) {
    std::vector<double> numbers;
    for (std::int64_t i = 0; i < ours.count(); ++i) numbers.push_back(get(ours, i));
    compare(key, numbers);
  }
  void compare_gradients(const ParameterStore& store, const std::string& prefix) {
    for (const Parameter& p : store.list())
      compare("gradient." + p.name.substr(prefix.size()), store.gradient(store.find(p.name)));
  }

  /// Forward and backward of a module whose parameters begin with `prefix`.
  void run(ParameterStore& store, const std::string& prefix, const std::function<void(Context&)>& both) {
    read_parameters(store, prefix);
    Arena arena;
    Context ctx(*backend_, arena, precision_.dtype, precision_.trunk);
    if (precision_.trunk != precision_.dtype) {
      store.allocate_copies();
      ctx->cast(ctx, store.values(), store.copies());
    }
    arena.begin_plan();
    both(ctx);
    arena.finish_plan();
    arena.allocate();
    arena.poison();
    arena.rewind(0);
    both(ctx);
    compare_gradients(store, prefix);
  }

  void check_linear() {
    ParameterStore store(precision_.dtype);
    const Linear linear(store, "linear", number("in"), number("out"));
    const std::int64_t rows = static_cast<std::int64_t>(fixture_.at("input.x").size()) / linear.in();
    const Tensor x = input("x", {rows, linear.in()}), dy = input("dy", {rows, linear.out()}),
                 y = numbers_.zeros(dy.shape), dx = numbers_.zeros(x.shape);
    run(store, "linear.", [&](Context& ctx) {
      linear.forward(ctx, x, y);
      linear.backward_weight(ctx, x, dy);
      linear.backward_input(ctx, dy, dx);
    });
    compare("output.y", y);
    compare("gradient.x", dx);
  }

  void check_embedding() {
    ParameterStore store(precision_.dtype);
    const TokenGrid tokens(grid(), number("patch"));
    const Embedding embedding(store, tokens, Slab(tokens, {}, 1), number("channels"), number("width"),
                              precision_.dtype);
    const Tensor x = input("x", image(number("channels"))), dx = numbers_.zeros(x.shape);
    const Tensor dy = input("dy", {batch * tokens.count(), number("width")}), y = numbers_.zeros(dy.shape);
    run(store, "embedding.", [&](Context& ctx) {
      embedding.forward(ctx, x, y);
      embedding.backward(ctx, x, dy, dx);
    });
    compare("output.y", y);
    compare("gradient.x", dx);
  }

  void check_head() {
    ParameterStore store(precision_.dtype);
    const TokenGrid tokens(grid(), number("patch"));
    const Head head(store, tokens, Slab(tokens, {}, 1), number("width"), number("channels"));
    Head::Saved saved;
    const Tensor x = input("x", {batch * tokens.count(), number("width")}), dx = numbers_.zeros(x.shape);
    const Tensor dy = input("dy", image(number("channels"))), y = numbers_.zeros(dy.shape);
    run(store, "head.", [&](Context& ctx) {
      head.forward(ctx, x, y, saved);
      head.backward(ctx, x, saved, dy, dx);
    });
    compare("output.y", y);
    compare("gradient.x", dx);
  }

  void check_conditioning() {
    ParameterStore store(precision_.dtype);
    const Conditioning conditioning(store, number("numbers"), number("width"));
    Conditioning::Saved saved;
    const std::int64_t rows = static_cast<std::int64_t>(fixture_.at("input.condition").size()) / number("numbers");
    const Tensor condition = input("condition", {rows, number("numbers")});
    const Tensor dy = input("dy", {rows, 6 * number("width")}), y = numbers_.zeros(dy.shape);
    run(store, "conditioning.", [&](Context& ctx) {
      conditioning.forward(ctx, condition, y, saved);
      conditioning.backward(ctx, condition, saved, dy);
    });
    compare("output.y", y);
  }

  void check_block() {
    ParameterStore store(precision_.dtype);
    const int width = number("width"), heads = number("heads"), rows = fixture_.description.at("window")[0],
              columns = fixture_.description.at("window")[1];
    const TokenGrid tokens(grid(), number("patch"));
    const std::string kind = fixture_.description.at("kind");
    const Sequences sequences =
        kind == "across" ? across_window_sequences(tokens, rows, columns, width / heads, precision_.dtype)
                         : window_sequences(tokens, rows, columns, kind == "shifted", width / heads, precision_.dtype);
    const Block block(store, "block", width, heads, number("mlp_ratio"));
    Block::Saved saved;
    const Shape shape{batch * tokens.count(), width};
    const Tensor x = input("x", shape), modulation = input("shared", {batch, 6 * width}), dy = input("dy", shape),
                 y = numbers_.zeros(shape), d = numbers_.zeros(shape), dmodulation = numbers_.zeros(modulation.shape);
    run(store, "block.", [&](Context& ctx) {
      block.forward(ctx, sequences.table, x, modulation, y, saved);
      ctx->copy(ctx, dy, d);
      block.backward(ctx, sequences.table, x, saved, d, dmodulation);
    });
    compare("output.y", y);
    compare("gradient.x", d);
    compare("gradient.shared", dmodulation);
  }

  void check_network() {
    NetworkConfig config;
    config.patch = number("patch");
    config.width = number("width");
    config.blocks = number("blocks");
    config.heads = number("heads");
    config.mlp_ratio = number("mlp_ratio");
    config.window_rows = fixture_.description.at("window")[0];
    config.window_columns = fixture_.description.at("window")[1];
    if (precision_.trunk == DType::bf16) config.precision = "bf16";
    ForecastNetwork network(config, grid(), number("inputs"), number("outputs"), number("conditions"), precision_.dtype,
                            backend_);
    ParameterStore& store = network.parameters();
    read_parameters(store, "");
    const Tensor x = input("x", image(number("inputs"))), dx = numbers_.zeros(x.shape),
                 condition = input("condition", {batch, number("conditions")}),
                 dy = input("dy", image(number("outputs"))), y = numbers_.zeros(dy.shape);
    network.plan(batch, Use::training);
    network.forward(x, condition, y);
    network.backward(dy, dx);
    compare("output.y", y);
    compare("gradient.x", dx);
    compare_gradients(store, "");

    store.allocate_optimiser(false);
    std::vector<float> channel_weights;
    for (int c = 1; c <= number("outputs"); ++c) channel_weights.push_back(static_cast<float>(c));
    AdamW options;
    options.learning_rate = 1e-3;
    std::vector<double> losses;
    const Grid on = grid();
    for (std::size_t step = 1; step <= fixture_.at("losses").size(); ++step) {
      store.zero_gradients();
      network.forward(x, condition, y);
      losses.push_back(weighted_loss(LossKind::squared, y, dy, on.row_weights(), channel_weights, {}, y));
      network.backward(y, {});
      adamw_step(store, options, static_cast<std::int64_t>(step));
    }
    compare("losses", losses);
    EXPECT_LT(losses.back(), losses.front());
  }

  static constexpr int batch = 2;
  static constexpr std::size_t kEnough = 256;
  Shape image(int channels) const {
    return {batch, channels, static_cast<std::int64_t>(grid().nlat()), static_cast<std::int64_t>(grid().nlon())};
  }

  Fixture fixture_;
  Precision precision_;
  Operands numbers_;
  std::shared_ptr<Backend> backend_;
  double small_[2] = {0, 0};  // sums of the squared relative errors of small tensors in bf16: ours, PyTorch's
};

TEST_P(Fixtures, EqualPyTorch) {
  const std::string module = fixture_.description.at("module");
  if (module == "linear")
    check_linear();
  else if (module == "embedding")
    check_embedding();
  else if (module == "head")
    check_head();
  else if (module == "conditioning")
    check_conditioning();
  else if (module == "block")
    check_block();
  else if (module == "network")
    check_network();
  else
    FAIL() << "a fixture of " << module;
  EXPECT_LE(std::sqrt(small_[0]), 1.5 * std::sqrt(small_[1])) << "tensors of few numbers";
}

std::string name_of_case(const ::testing::TestParamInfo<Fixtures::ParamType>& info) {
  return std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(Layers, Fixtures,
                         ::testing::Combine(::testing::Values("linear", "embedding_gaussian", "embedding_odd_rows",
                                                              "embedding_region", "head_gaussian", "head_odd_rows",
                                                              "head_region", "conditioning"),
                                            ::testing::Values(kF64, kF32)),
                         name_of_case);
// Layers outside the trunk stay f32 in mixed precision.
INSTANTIATE_TEST_SUITE_P(Trunk, Fixtures,
                         ::testing::Combine(::testing::Values("block_windows", "block_shifted", "block_across",
                                                              "network_gaussian", "network_odd_rows", "network_region"),
                                            ::testing::Values(kF64, kF32, kBf16, kPlainBf16)),
                         name_of_case);

}  // namespace
}  // namespace zonda::model::testing
