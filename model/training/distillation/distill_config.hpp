#pragma once
// The section `distill` of a run file.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "model/training/distillation/distillation_step.hpp"
#include "model/training/distillation/regional_crop.hpp"
#include "model/training/distillation/student_start.hpp"
#include "model/training/distillation/token_levels.hpp"
#include "model/training/train_config.hpp"

namespace zonda::config {
class Table;
}

namespace zonda::model {

/// Second phase: gradients through several consecutive steps.
struct DistillRolloutConfig {
  int steps = 200;
  int lead_steps = 4;
  double learning_rate = 2e-4;
  int warm_up = 10;
  int starts = 100;  ///< initial times whose teacher rollouts are made
};

/// What a student is judged by, against its teacher, on the interior.
struct AcceptanceConfig {
  std::optional<Time> start, end;  ///< default: the last tenth of the period
  int samples = 24;                ///< initial times, spread evenly
  Duration lead{24 * 3600};
  double one_step_percent = 2;  ///< most that a student's RMSE may exceed the teacher's, in % of the standard deviation
  double lead_percent = 5;
  double level_percent = 3;                        ///< most that a token level's may exceed that of all tokens
  double spectrum_low = 0.8, spectrum_high = 1.2;  ///< of the power of waves longer than four cells over the archive's
};

/// Quantisation of the student to int8.
struct Int8Config {
  double percent = 1;  ///< most that int8 may add to the RMSE of a variable, in % of its standard deviation
  int samples = 12;    ///< initial times for calibration
};

struct DistillConfig {
  std::optional<std::string> teacher;  ///< model folder; default: the run's model
  std::optional<std::string> archive;  ///< default: the run's archive
  RegionConfig region;
  int ring = 8;
  StudentConfig student;
  std::vector<Duration> steps_between{Duration{6 * 3600}};
  std::string boundary = "mixed";
  DistillLosses losses;
  std::vector<std::string> channel_weights;
  std::vector<LevelConfig> levels;
  double level_weight = 1;  ///< of a level's loss beside that of all tokens
  std::optional<Time> start, end;
  int starts = 0;  ///< initial times of the first phase, spread evenly; 0: all
  int batch = 8;
  int steps = 1000;
  double learning_rate = 1e-3, final_learning_rate = 0;
  int warm_up = 50;
  double weight_decay = 0.05;
  double clip = 1;
  double ema_decay = 0.99;
  std::optional<DistillRolloutConfig> rollout;
  CheckpointConfig checkpoint;
  AcceptanceConfig acceptance;
  std::optional<Int8Config> int8;
  double cache = 2e9;  ///< bytes of the teacher's runs kept in memory
  std::uint64_t seed = 1;
  std::string licence = "Apache-2.0";
};

void describe(config::Table& table, RegionConfig& config);
void describe(config::Table& table, StudentConfig& config);
void describe(config::Table& table, StudentAdapters& config);
void describe(config::Table& table, DistillLosses& config);
void describe(config::Table& table, LevelConfig& config);
void describe(config::Table& table, DistillRolloutConfig& config);
void describe(config::Table& table, AcceptanceConfig& config);
void describe(config::Table& table, Int8Config& config);
void describe(config::Table& table, DistillConfig& config);

}  // namespace zonda::model
