#pragma once
// The learning curve out of a training's metrics.jsonl.
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace zonda::postproc {

struct TrainingCurve {
  using Points = std::vector<std::pair<double, double>>;
  Points loss, learning_rate;  ///< by step
  Points validation_loss;
  double validation_lead_hours = 0;
  /// Per channel: validation RMSE over persistence's, by step.
  std::map<std::string, Points> skill;
  std::size_t skipped = 0;  ///< steps left out by the guard
};

/// Reads lines `{step, loss, lr, ...}` and `{step, validation: {loss, rmse: {...}, persistence: {...}}, lead_hours}`. A
/// last line cut short by a crash is left out. Throws Error(data) naming the line where another one is damaged.
TrainingCurve read_training_curve(const std::filesystem::path& metrics);

/// Two or three charts: loss (with validation), learning rate, skill against persistence.
void draw_training_curve(const TrainingCurve& curve, const std::filesystem::path& png);

}  // namespace zonda::postproc
