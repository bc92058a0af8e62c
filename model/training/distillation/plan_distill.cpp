#include <algorithm>

#include "model/forecast_state/forecast_model.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/training/distillation/distill.hpp"

namespace zonda::model {

DistillPlan plan_distill(const DistillConfig& config, const std::filesystem::path& teacher_path) {
  const std::unique_ptr<ForecastModel> teacher = load_model(teacher_path, {.precision = "fp32"});
  const RegionalCrop crop(teacher->layout.grid, config.region, teacher->network.shape().patch, config.ring);
  const ForecastLayout layout = crop.student_layout(teacher->layout, config.steps_between);
  const ForecastNetwork student = network_of_layout(student_network(teacher->network.config(), config.student), layout);
  const std::size_t number = sizeof(float), state = layout.channels.size() * layout.points() * number,
                    whole = teacher->layout.channels.size() * teacher->layout.points() * number;
  const auto batch = static_cast<std::size_t>(config.batch);
  const std::size_t blocks = matched_blocks(teacher->network.shape().blocks, config.student.every).size();
  const std::size_t features =
      config.losses.features > 0 ? blocks * static_cast<std::size_t>(teacher->network.shape().width) * layout.points() *
                                       number / static_cast<std::size_t>(student.shape().patch * student.shape().patch)
                                 : 0;

  DistillPlan plan;
  plan.teacher_parameters = teacher->network.parameter_count();
  plan.parameters = student.parameter_count();
  plan.teacher_bytes = teacher->network.memory(1, Use::inference, false).total() + 3 * whole;
  std::size_t samples = 0, cached = 0;
  const auto phase = [&](std::int64_t steps, std::size_t count, std::int64_t starts) {
    const std::int64_t drawn = steps * config.batch, runs = starts > 0 ? std::min(starts, drawn) : drawn;
    plan.steps += steps;
    plan.flops += 3.0 * static_cast<double>(drawn) * static_cast<double>(count) * student.flops_per_sample() +
                  static_cast<double>(runs) * static_cast<double>(count) * teacher->network.flops_per_sample();
    samples = std::max(samples, batch * count * (4 * state + 2 * features));
    cached = std::max(cached, static_cast<std::size_t>(runs) * count * (2 * state + features));
  };
  phase(config.steps, 1, config.starts);
  if (config.rollout)
    phase(config.rollout->steps, static_cast<std::size_t>(config.rollout->lead_steps), config.rollout->starts);
  plan.student_bytes = student.memory(config.batch, Use::training, true).total() + samples;
  plan.cache_bytes = std::min(cached, static_cast<std::size_t>(config.cache));
  const auto parameters = static_cast<std::size_t>(plan.parameters) * number;
  plan.disk_bytes = parameters * (1 + 4 * static_cast<std::size_t>(std::max(1, config.checkpoint.keep)));
  return plan;
}

}  // namespace zonda::model
