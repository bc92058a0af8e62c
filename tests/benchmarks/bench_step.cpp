// A training step (forward, loss, backward, AdamW) of the `test` preset on 48x96, batch 8, in micro-batches.
// tests/peers/torch_step.py sets it beside PyTorch.
//
//   bench_step [--dump FILE NAME]     writes weights, inputs, first output and gradients, and three losses of the row
//   NAME bench_step --memory NAME          prints planned and measured bytes of the row NAME, as JSON
//
// GFLOP/s count three forward passes a sample, or one in the rows `forward_`, which are steps of a forecast.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/grid.hpp"
#include "core/philox.hpp"
#include "model/network/forecast_network.hpp"
#include "model/ops/backend.hpp"
#include "model/ops/loss.hpp"
#include "model/ops/optimiser.hpp"
#include "tensor_dump.hpp"

namespace {

using namespace zonda;
using namespace zonda::model;

constexpr int kBatch = 8, kInputs = 40, kChannels = 16, kConditions = 6;  // inputs: two states, static fields, forcings
constexpr std::int64_t kRows = 48, kColumns = 96;

struct Row {
  std::string precision;
  int micro;    ///< samples that pass together
  int threads;  ///< 0: a device
  std::string name() const {
    return "step_" + precision + "/micro:" + std::to_string(micro) +
           (threads ? "/threads:" + std::to_string(threads) : "/cuda");
  }
};

NetworkConfig configuration(const Row& row) {
  NetworkConfig config;
  config.precision = row.precision;
  return config;
}

std::shared_ptr<Backend> backend_of(const Row& row) {
  return row.threads ? make_backend("cpu", row.threads) : make_backend("cuda");
}

/// The fields of one batch.
struct Fields {
  explicit Fields(Backend& backend) : memory(&backend.memory()) {
    x = random({kBatch, kInputs, kRows, kColumns}, "x");
    condition = random({kBatch, kConditions}, "condition");
    target = random({kBatch, kChannels, kRows, kColumns}, "target");
  }
  Tensor random(Shape shape, const char* purpose) {
    std::vector<float> values(static_cast<std::size_t>(shape.count()));
    const Philox numbers(1, purpose);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(numbers.normal(i));
    buffers.emplace_back(values.size() * sizeof(float), *memory);
    Tensor t(buffers.back().data(), shape, DType::f32, memory->device());
    memory->copy_in(t.data, values.data(), t.bytes());
    return t;
  }
  Memory* memory;
  std::vector<Buffer> buffers;
  Tensor x, condition, target;
};

class TrainingStep {
 public:
  TrainingStep(const Row& row, const Fields& fields, std::shared_ptr<Backend> backend)
      : backend_(std::move(backend)),
        fields_(fields),
        grid_(Grid::gaussian(kRows, kColumns)),
        network_(configuration(row), grid_, kInputs, kChannels, kConditions, DType::f32, backend_),
        weights_(kChannels, 1.0f),
        scratch_(backend_->memory()),
        context_(*backend_, scratch_, DType::f32),
        micro_(row.micro),
        storage_(static_cast<std::size_t>(row.micro * kChannels * kRows * kColumns) * sizeof(float),
                 backend_->memory()),
        y_(storage_.data(), {row.micro, kChannels, kRows, kColumns}, DType::f32, backend_->memory().device()) {
    initialise();
    network_.plan(micro_, Use::training);
    network_.parameters().allocate_optimiser(false);
    scratch_.begin_plan();
    loss(part(fields_.target, 0));
    scratch_.finish_plan();
    scratch_.allocate();
  }
  /// Returns the loss.
  double run() {
    const double value = gradients();
    adamw_step(network_.parameters(), {}, ++steps_, 0, -1, backend_.get());
    backend_->synchronise();
    return value;
  }
  double gradients() {
    double sum = 0;
    network_.parameters().zero_gradients();
    for (int first = 0; first < kBatch; first += micro_) {
      network_.forward(part(fields_.x, first), part(fields_.condition, first), y_);
      sum += loss(part(fields_.target, first)) * micro_ / kBatch;
      network_.backward(y_, {});
    }
    return sum;
  }
  void dump(const std::string& path) {
    TensorDump dump;
    ParameterStore& store = network_.parameters();
    Memory& memory = backend_->memory();
    dump.add_values(store);
    dump.add("input.x", fields_.x, memory);
    dump.add("input.condition", fields_.condition, memory);
    dump.add("input.target", fields_.target, memory);
    gradients();
    dump.add_gradients(store);
    std::vector<float> losses;
    for (int step = 0; step < 3; ++step) losses.push_back(static_cast<float>(run()));
    dump.add("losses", Tensor::of(losses, {3}), host_memory());
    dump.write(path);
  }
  double work() const { return 3 * kBatch * network_.flops_per_sample(); }
  std::size_t planned_bytes() const { return network_.memory(micro_, Use::training, false).total() + y_.bytes(); }

 private:
  Tensor part(const Tensor& fields, int first) const { return fields.slice(first, micro_); }
  /// The output becomes the gradient; its scale makes micro-batches add up to the batch's mean.
  double loss(const Tensor& target) {
    scratch_.rewind(0);
    return backend_->loss(context_, {LossKind::squared, grid_.row_weights(), weights_, {}}, y_, target, y_,
                          double(micro_) / kBatch);
  }
  /// Every parameter away from zero, so that every gradient has work to do.
  void initialise() {
    network_.allocate();
    ParameterStore& store = network_.parameters();
    for (const Parameter& p : store.list()) {
      std::vector<float> values(static_cast<std::size_t>(p.count));
      const Philox numbers(1, p.name);
      const double scale = p.initial_scale > 0 ? double(p.initial_scale) : 0.05;
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(double(p.initial_value) + scale * numbers.normal(i));
      store.memory().copy_in(store.value(store.find(p.name)).data, values.data(), values.size() * sizeof(float));
    }
    store.values_changed();
  }

  std::shared_ptr<Backend> backend_;
  const Fields& fields_;
  Grid grid_;
  ForecastNetwork network_;
  std::vector<float> weights_;
  Arena scratch_;
  Context context_;
  int micro_;
  Buffer storage_;
  Tensor y_;
  std::int64_t steps_ = 0;
};

void train(benchmark::State& state, const Row& row) {
  const auto backend = backend_of(row);
  const Fields fields(*backend);
  TrainingStep step(row, fields, backend);
  step.run();
  for (auto _ : state) step.run();
  state.counters["GFLOP/s"] =
      benchmark::Counter(step.work() * 1e-9 * double(state.iterations()), benchmark::Counter::kIsRate);
}

void forecast(benchmark::State& state, const Row& row) {
  const auto backend = backend_of(row);
  const Fields fields(*backend);
  ForecastNetwork network(configuration(row), Grid::gaussian(kRows, kColumns), kInputs, kChannels, kConditions,
                          DType::f32, backend);
  network.initialise(1);
  network.plan(row.micro, Use::inference);
  const Shape shape{row.micro, kChannels, kRows, kColumns};
  const Buffer storage(static_cast<std::size_t>(shape.count()) * sizeof(float), backend->memory());
  const Tensor y(storage.data(), shape, DType::f32, backend->memory().device());
  const auto step = [&] {
    network.forward(fields.x.slice(0, row.micro), fields.condition.slice(0, row.micro), y);
    backend->synchronise();
  };
  step();
  for (auto _ : state) step();
  state.counters["GFLOP/s"] = benchmark::Counter(
      row.micro * network.flops_per_sample() * 1e-9 * double(state.iterations()), benchmark::Counter::kIsRate);
}

/// Bytes of a line of /proc/self/status.
std::size_t process_bytes(const char* key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind(key, 0) == 0) return std::stoull(line.substr(std::strlen(key) + 1)) * 1024;
  return 0;
}

/// What two steps add to a process that holds the batch already.
void print_memory(const Row& row) {
  const auto backend = backend_of(row);
  const Fields fields(*backend);
  const std::size_t before = process_bytes("VmRSS");
  TrainingStep step(row, fields, backend);
  for (int i = 0; i < 2; ++i) step.run();
  std::printf("{\"planned_bytes\": %zu, \"resident_bytes\": %zu}\n", step.planned_bytes(),
              process_bytes("VmHWM") - before);
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
    for (const char* precision : {"fp32", "bf16"})
      for (const int micro : {8, 1}) list.push_back({precision, micro, n});
  return list;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Row> list = rows();
  const bool dump = argc == 4 && std::strcmp(argv[1], "--dump") == 0,
             memory = argc == 3 && std::strcmp(argv[1], "--memory") == 0;
  if (dump || memory) {
    for (const Row& row : list) {
      if (row.name() != argv[argc - 1]) continue;
      if (memory) {
        print_memory(row);
      } else {
        const auto backend = backend_of(row);
        const Fields fields(*backend);
        TrainingStep(row, fields, backend).dump(argv[2]);
      }
      return 0;
    }
    std::fprintf(stderr, "bench_step: no row %s\n", argv[argc - 1]);
    return 2;
  }
  for (const Row& row : list)
    benchmark::RegisterBenchmark(row.name().c_str(), [row](benchmark::State& state) { train(state, row); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  for (const int threads : {1, 2})
    for (const char* precision : {"fp32", "bf16", "int8"}) {
      const Row row{precision, kBatch, threads};
      benchmark::RegisterBenchmark(("forward" + row.name().substr(4)).c_str(),
                                   [row](benchmark::State& state) { forecast(state, row); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
