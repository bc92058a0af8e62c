#pragma once
// A teacher that takes a second to train, and a student of it.
#include "model/training/distillation/distill.hpp"
#include "parallel/communicator.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda {

inline void write_waves(const std::filesystem::path& archive) {
  TurningWaves{.grid = Grid::latlon(16, 32, false), .times = 60}.write(archive);
}

/// Trains into `folder`/teacher; returns the model.
inline std::filesystem::path train_teacher(const std::filesystem::path& archive, const std::filesystem::path& folder,
                                           int steps) {
  model::TrainConfig config = small_training(steps);
  config.network.blocks = 4;
  config.steps_between = {Duration(6 * 3600)};
  config.validation.every = 0;
  config.checkpoint.every = 1000;
  return model::run_train(config, parallel::Communicator::self(), archive, folder / "teacher", true).model;
}

inline model::DistillConfig small_distillation(int steps) {
  model::DistillConfig config;
  config.region = {.north = 80, .south = -5, .west = 300, .east = 90};
  config.ring = 2;
  config.student = {.every = 2, .width = 8};
  config.steps_between = {Duration(6 * 3600)};
  config.batch = 2;
  config.steps = steps;
  config.learning_rate = 5e-3;
  config.warm_up = 3;
  config.ema_decay = 0.9;
  config.checkpoint.every = 3;
  config.rollout =
      model::DistillRolloutConfig{.steps = 4, .lead_steps = 2, .learning_rate = 1e-3, .warm_up = 1, .starts = 6};
  config.acceptance.samples = 4;
  config.acceptance.lead = Duration(12 * 3600);
  config.int8 = model::Int8Config{.percent = 1, .samples = 2};
  return config;
}

}  // namespace zonda
