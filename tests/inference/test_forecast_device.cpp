// A forecast on the emulated device is the CPU's.
#include <gtest/gtest.h>

#include <cmath>

#include "emulated_backend.hpp"
#include "inference/rollout/trajectory.hpp"
#include "tests/inference/untrained_model.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::inference {
namespace {

constexpr Duration h6{6 * 3600};

std::vector<float> forecast(const std::filesystem::path& path, std::shared_ptr<model::Backend> backend,
                            const std::string& precision = "") {
  const auto model = model::load_model(path, {std::move(backend), precision});
  const model::ForecastStep step(model->layout);
  const std::size_t size = model->layout.output_channels() * model->layout.points();
  const Time start = parse_time("2001-03-05T06");
  const std::vector<TrajectoryStart> members{{start, 1}, {start + h6, 2}};
  Trajectories trajectories(*model, step, plan_steps("6h", model->layout.steps, 2 * h6, h6), members);
  const Philox random(9, "states");
  for (const Duration lead : trajectories.leads_needed()) {
    std::vector<float> fields(members.size() * size);
    for (std::size_t i = 0; i < fields.size(); ++i)
      fields[i] = static_cast<float>(random.normal(static_cast<std::uint64_t>((lead + h6) / h6) * fields.size() + i));
    trajectories.give(lead, fields);
  }
  std::vector<float> reached;
  while (trajectories.lead() < 2 * h6) trajectories.advance();
  trajectories.forecast(reached);
  return reached;
}

TEST(ForecastDevice, AStepIsTheCpus) {
  const TemporaryFolder folder;
  const auto made = untrained_model({h6}, {}, 3);
  made->layout.channels[1] = {"q", 850};  // with a bound
  made->layout.normalisation.mean[1] = 0;
  made->network.parameters().allocate_optimiser(true);
  model::write_model(folder / "model", made->layout, made->network, made->origin, false);
  const auto cpu = forecast(folder / "model", nullptr),
             device = forecast(folder / "model", model::testing::emulated_cuda_backend());
  ASSERT_EQ(cpu.size(), device.size());
  double largest = 0;
  std::size_t bounded = 0;
  for (std::size_t i = 0; i < cpu.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(cpu[i]) - device[i]));
    bounded += cpu[i] == 0;
  }
  EXPECT_LT(largest, 1e-5);
  EXPECT_GT(bounded, cpu.size() / 16);
}

}  // namespace
}  // namespace zonda::inference
