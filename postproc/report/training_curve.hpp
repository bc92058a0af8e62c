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
  std::size_t skipped = 0;                             ///< steps left out by the guard
  std::vector<std::pair<double, std::string>> phases;  ///< first step and name
  /// Per phase, in their order: RMSE over persistence's of `curve_channel`, by lead in hours, at the end of the phase.
  std::vector<std::pair<std::string, Points>> after_phase;
  std::string curve_channel;
};

/// Reads lines `{step, phase, loss, lr, ...}`, `{step, validation: {loss, rmse: {...}, persistence: {...}},
/// lead_hours}` and `{step, phase, curve: [{lead_hours, rmse: {...}, persistence: {...}}]}`. A last line cut short by a
/// crash is left out. Throws Error(data) naming the line where another one is damaged.
TrainingCurve read_training_curve(const std::filesystem::path& metrics);

/// Charts: loss (with validation, and where phases begin), skill against persistence while training and by lead after
/// each phase, learning rate.
void draw_training_curve(const TrainingCurve& curve, const std::filesystem::path& png);

}  // namespace zonda::postproc
