// Peak memory of a rank that trains a network with others, under mpirun:
//   bench_sharded_memory [MESH [ZERO [WIDTH [SAMPLES [BLOCKS]]]]]
// The default is all ranks on `spatial`, stage 3, width 192, 40 blocks. Two optimiser steps of SAMPLES (1) one after
// the other for each data rank; what the program held before is taken off.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "core/error.hpp"
#include "core/grid.hpp"
#include "core/philox.hpp"
#include "model/training/pipeline_schedule.hpp"
#include "model/training/sharded_parameters.hpp"
#include "model/training/training_mesh.hpp"
#include "parallel/layout/mesh.hpp"
#include "parallel/mpi_session.hpp"

namespace {

using namespace zonda;
using namespace zonda::model;

constexpr int channels = 16, inputs = 40, conditions = 6, chunks = 8;

double megabytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key + ":")) return std::strtod(line.c_str() + key.size() + 1, nullptr) / 1024;
  return 0;
}

std::vector<float> fields(std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  const Philox random(1, "fields");
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(random.normal(i));
  return values;
}

struct Setting {
  int width, blocks, rows, columns;
};

/// Two steps; returns the parameters' number.
std::int64_t train(const Setting& setting, const TrainingRanks& ranks, int zero, std::size_t samples) {
  NetworkConfig config;
  config.width = setting.width;
  config.heads = setting.width / 64;
  config.blocks = setting.blocks;
  config.patch = 4;
  const Grid grid =
      Grid::latlon(static_cast<std::size_t>(setting.rows), static_cast<std::size_t>(setting.columns), false);
  ForecastNetwork network(config, grid, inputs, channels, conditions, DType::f32, make_backend("cpu", 1), {},
                          sharding_of(ranks, chunks));
  ShardedParameters parameters(network, ranks, zero, false);
  parameters.initialise(1);
  parameters.allocate(false);
  const auto rows = static_cast<std::int64_t>(network.slab().image_rows().size());
  std::vector<float> x = fields(inputs * rows * setting.columns),
                     y(static_cast<std::size_t>(channels * rows * setting.columns)), condition = fields(conditions);
  const Shape output{1, channels, rows, setting.columns};
  const auto stages = static_cast<std::size_t>(ranks.stages.size()),
             stage = static_cast<std::size_t>(ranks.stages.rank()), lanes = in_flight(stages, stage, samples);
  network.plan(1, Use::training, static_cast<int>(lanes));
  const std::size_t terms = samples * static_cast<std::size_t>(ranks.data.size());
  GradientSum sum(network.parameters(), parameters.shares(), terms, parameters.sum_options(1, terms));
  parameters.collect(&sum);
  Arena arena;
  Context ctx(network.backend(), arena, DType::f32);
  std::vector<std::vector<float>> made(lanes, y);
  for (int step = 1; step <= 2; ++step) {
    for (const auto& [pass, micro_batch] : one_forward_one_backward(stages, stage, samples)) {
      const std::size_t lane = micro_batch % lanes;
      std::vector<float>& image = made[lane];
      if (pass == PipelineTurn::Pass::forward) {
        network.forward_of_stage(static_cast<int>(lane), Tensor::of(x, {1, inputs, rows, setting.columns}),
                                 Tensor::of(condition, {1, conditions}), Tensor::of(image, output));
        for (float& value : image) value -= 1;
        continue;
      }
      sum.begin_term(ctx);
      network.backward_of_stage(static_cast<int>(lane), Tensor::of(image, output));
      sum.end_term(ctx);
    }
    sum.finish(ctx);
    if (!(parameters.gradient_norm() > 0)) fail(ErrorKind::numerical, "the gradient of step {} is zero", step);
    parameters.update({}, step, 0.9);
  }
  return network.parameter_count();
}

}  // namespace

int main(int argc, char** argv) {
  parallel::MpiSession session(argc, argv);
  const parallel::Communicator& world = session.world();
  try {
    const std::string text = argc > 1 ? argv[1] : "spatial=" + std::to_string(world.size());
    const int zero = argc > 2 ? std::atoi(argv[2]) : 3;
    const int width = argc > 3 ? std::atoi(argv[3]) : 192;
    const auto samples = static_cast<std::size_t>(argc > 4 ? std::atoi(argv[4]) : 1);
    const int blocks = argc > 5 ? std::atoi(argv[5]) : 40;
    const parallel::Mesh mesh(world, parallel::parse_mesh(text, world.size()));
    const TrainingRanks ranks = training_ranks(mesh);
    train({64, mesh.size(parallel::Axis::pipeline), 256, 32}, ranks, zero,
          samples);  // libraries make their code and buffers
    const double before = megabytes("VmRSS");
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins anew
    const std::int64_t count = train({width, blocks, 256, 32}, ranks, zero, samples);
    double peak = megabytes("VmHWM") - before;
    world.all_reduce(std::span(&peak, 1), parallel::Reduction::max).wait();
    if (world.is_root())
      std::printf("%d ranks, %s, zero %d: %.1f M parameters, peak %.0f MB a rank, %.0f MB in all\n", world.size(),
                  to_string(mesh.shape()).c_str(), zero, 1e-6 * static_cast<double>(count), peak, peak * world.size());
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    world.abandon(error.what());
    return error.exit_code();
  }
  return 0;
}
