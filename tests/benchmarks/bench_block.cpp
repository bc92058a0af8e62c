// One transformer block, forward and backward with weight and input gradients: 4 samples of 24x48 tokens, windows of
// 12x12 tokens, heads of 64, MLP 4 D. The products_... rows run the block's own matrix products alone, in plain oneDNN:
// the ceiling. tests/peers/torch_block.py sets them beside PyTorch.
//
//   bench_block [--dump FILE NAME]    writes one step's weights, inputs, output and gradients of the row NAME
//
// GFLOP/s count three forward passes: 24 D^2 + 4 L D a token for windows of L tokens.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <cstdio>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>

#include "core/error.hpp"
#include "core/grid.hpp"
#include "core/philox.hpp"
#include "model/network/block.hpp"
#include "model/network/sequences.hpp"
#include "model/ops/backend.hpp"
#include "tensor_dump.hpp"

namespace {

using namespace zonda;
using namespace zonda::model;

constexpr std::int64_t kBatch = 4, kTokens = 24 * 48, kRows = kBatch * kTokens;
constexpr int kWindow = 12, kHeadSize = 64, kMlpRatio = 4;

struct Row {
  int width;
  DType trunk;
  int threads;  ///< 0: a device
  std::string name(const std::string& what) const {
    return what + (trunk == DType::bf16 ? "_bf16" : "_fp32") + "/width:" + std::to_string(width) +
           (threads ? "/threads:" + std::to_string(threads) : "/cuda");
  }
};

double product_work(int width) {
  return 3 * 24.0 * double(kRows) * width * width;
}

class BlockStep {
 public:
  explicit BlockStep(const Row& row)
      : backend_(row.threads ? make_backend("cpu", row.threads) : make_backend("cuda")),
        trunk_(row.trunk),
        arena_(backend_->memory()),
        store_(DType::f32, backend_->memory()),
        block_(store_, "block", row.width, row.width / kHeadSize, kMlpRatio),
        sequences_(window_sequences(TokenGrid(Grid::gaussian(48, 96), 2), kWindow, kWindow, false, kHeadSize,
                                    DType::f32, backend_->memory())),
        x_(random({kRows, row.width}, "x")),
        dy_(random({kRows, row.width}, "dy")),
        shared_(random({kBatch, 6 * row.width}, "shared", 0.5)),
        y_(random({kRows, row.width}, "y")),
        d_(random({kRows, row.width}, "d")),
        dshared_(random({kBatch, 6 * row.width}, "dshared", 0)) {
    store_.allocate_values();
    store_.allocate_gradients();
    if (trunk_ == DType::bf16) store_.allocate_copies();
    for (const Parameter& p : store_.list())
      fill(store_.value(store_.find(p.name)), p.name, p.initial_scale > 0 ? p.initial_scale : 0.1, p.initial_value);
    arena_.begin_plan();
    step();
    arena_.finish_plan();
    arena_.allocate();
  }
  void run() {
    store_.zero_gradients();
    arena_.rewind(0);
    step();
    backend_->synchronise();
  }
  void dump(const std::string& path) {
    Memory& memory = backend_->memory();
    memory.fill_bytes(dshared_.data, 0, dshared_.bytes());
    run();
    TensorDump dump;
    dump.add_values(store_);
    dump.add_gradients(store_);
    dump.add("input.x", x_, memory);
    dump.add("input.shared", shared_, memory);
    dump.add("input.dy", dy_, memory);
    dump.add("output.y", y_, memory);
    dump.add("gradient.x", d_, memory);
    dump.add("gradient.shared", dshared_, memory);
    dump.write(path);
  }
  double work() const {
    return product_work(static_cast<int>(x_.shape[1])) +
           3 * 4.0 * double(kRows) * kWindow * kWindow * double(x_.shape[1]);
  }

 private:
  void step() {
    Context ctx(*backend_, arena_, DType::f32, trunk_);
    if (trunk_ == DType::bf16) ctx->cast(ctx, store_.values(), store_.copies());  // as after an optimiser's step
    block_.forward(ctx, sequences_.table, x_, shared_, y_, saved_);
    ctx->copy(ctx, dy_, d_);
    block_.backward(ctx, sequences_.table, x_, saved_, d_, dshared_);
  }
  void fill(const Tensor& t, const std::string& seed, double scale, double offset) {
    std::vector<float> values(static_cast<std::size_t>(t.count()));
    const Philox numbers(1, seed);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(offset + scale * numbers.normal(i));
    backend_->memory().copy_in(t.data, values.data(), t.bytes());
  }
  Tensor random(Shape shape, const std::string& seed, double scale = 1) {
    buffers_.emplace_back(static_cast<std::size_t>(shape.count()) * sizeof(float), backend_->memory());
    Tensor t(buffers_.back().data(), shape, DType::f32, backend_->memory().device());
    fill(t, seed, scale, 0);
    return t;
  }

  std::shared_ptr<Backend> backend_;
  DType trunk_;
  std::vector<Buffer> buffers_;
  Arena arena_;
  ParameterStore store_;
  Block block_;
  Block::Saved saved_;
  Sequences sequences_;
  Tensor x_, dy_, shared_, y_, d_, dshared_;
};

void block(benchmark::State& state, const Row& row) {
  BlockStep step(row);
  step.run();
  for (auto _ : state) step.run();
  state.counters["GFLOP/s"] =
      benchmark::Counter(step.work() * 1e-9 * double(state.iterations()), benchmark::Counter::kIsRate);
}

/// A product of the block in plain oneDNN: c [m, n] = op(a) op(b).
class Product {
 public:
  Product(const dnnl::engine& engine, DType type, std::int64_t m, std::int64_t n, std::int64_t k, bool transpose_a,
          bool transpose_b, bool wide_result) {
    using dnnl::memory;
    const auto half = type == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
    const auto plain = memory::format_tag::ab, turned = memory::format_tag::ba;
    const memory::desc a({m, k}, half, transpose_a ? turned : plain), b({k, n}, half, transpose_b ? turned : plain),
        c({m, n}, wide_result ? memory::data_type::f32 : half, plain);
    primitive_ = dnnl::matmul(dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), engine));
    for (const auto& [key, desc] : {std::pair{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}}) {
      memory numbers(desc, engine);
      std::memset(numbers.get_data_handle(), 0, desc.get_size());
      arguments_.emplace(key, numbers);
    }
  }
  void run(dnnl::stream& stream) { primitive_.execute(stream, arguments_); }

 private:
  dnnl::matmul primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

void products(benchmark::State& state, const Row& row) {
  omp_set_num_threads(row.threads);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  std::vector<Product> list;
  const std::int64_t d = row.width;
  for (const auto& [in, out] : {std::pair{d, 3 * d}, {d, d}, {d, kMlpRatio * d}, {kMlpRatio * d, d}}) {
    list.emplace_back(engine, row.trunk, kRows, out, in, false, false, false);  // y = x W
    list.emplace_back(engine, row.trunk, kRows, in, out, false, true, false);   // dx = dy W^T
    list.emplace_back(engine, row.trunk, in, out, kRows, true, false, true);    // dW = x^T dy
  }
  for (auto _ : state) {
    for (Product& product : list) product.run(stream);
    stream.wait();
  }
  state.counters["GFLOP/s"] =
      benchmark::Counter(product_work(row.width) * 1e-9 * double(state.iterations()), benchmark::Counter::kIsRate);
}

std::vector<Row> rows() {
  std::vector<int> threads{1, 2};
  try {
    make_backend("cuda");
    threads.push_back(0);
  } catch (const Error&) {
  }
  std::vector<Row> list;
  for (const int n : threads)
    for (const DType trunk : {DType::f32, DType::bf16})
      for (const int width : {256, 512}) list.push_back({width, trunk, n});
  return list;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Row> list = rows();
  if (argc == 4 && std::strcmp(argv[1], "--dump") == 0) {
    for (const Row& row : list)
      if (row.name("block") == argv[3]) {
        BlockStep(row).dump(argv[2]);
        return 0;
      }
    std::fprintf(stderr, "bench_block: no row %s\n", argv[3]);
    return 2;
  }
  for (const Row& row : list) {
    const auto add = [&row](const char* what, void (*run)(benchmark::State&, const Row&)) {
      benchmark::RegisterBenchmark(row.name(what).c_str(), [run, row](benchmark::State& state) { run(state, row); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    };
    add("block", block);
    if (row.threads) add("products", products);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
