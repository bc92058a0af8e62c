#pragma once
// A training configuration that takes a second.
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "core/atomic_file.hpp"
#include "model/forecast_state/tensor_folder.hpp"
#include "model/training/train.hpp"

namespace zonda {

inline model::TrainConfig small_training(int steps = 12) {
  model::TrainConfig config;
  config.network.preset = "tiny";
  config.network.width = 16;
  config.network.heads = 2;
  config.network.blocks = 2;
  config.steps_between = {Duration(6 * 3600), Duration(12 * 3600)};
  config.forcings = {"cos_local_time", "sin_local_time"};
  config.batch = 4;
  config.steps = steps;
  config.warm_up = 3;
  config.learning_rate = 3e-3;
  config.validation.every = 5;
  config.validation.samples = 3;
  config.validation.fraction = 0.25;
  config.validation.lead = Duration(12 * 3600);
  config.checkpoint.every = 4;
  return config;
}

/// All phases, of a few steps each.
inline model::TrainConfig training_in_phases(int steps = 4) {
  model::TrainConfig config = small_training(steps);
  config.network.lora = model::LoraConfig{.rank = 2, .edges = {0.5}};
  config.rollout = model::RolloutConfig{.steps = 3,
                                        .lead_steps = 2,
                                        .step_lengths = {},
                                        .learning_rate = 1e-4,
                                        .warm_up = 1,
                                        .weights = "falling",
                                        .batch = 0};
  config.replay = model::ReplayConfig{.steps = 5,
                                      .lead_steps = 4,
                                      .entries = 2,
                                      .share = 0.7,
                                      .step_lengths = {},
                                      .learning_rate = 1e-4,
                                      .warm_up = 1,
                                      .batch = 0};
  config.adapters = model::AdaptersConfig{.steps = 3,
                                          .lead_steps = 3,
                                          .step_lengths = {Duration(6 * 3600)},
                                          .learning_rate = 1e-3,
                                          .warm_up = 1,
                                          .batch = 0};
  config.validation.curve = {Duration(12 * 3600), Duration(24 * 3600)};
  return config;
}

/// Relative names and contents of all files, without the wall-clock ones. Of checkpoints, whose files depend on the
/// ranks, the hash of their numbers and where the run stood.
inline std::map<std::string, std::string> files_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string name = std::filesystem::relative(entry.path(), folder).string();
    if (!entry.is_regular_file() || name == "timing.jsonl" || name.find("tfevents") != std::string::npos) continue;
    if (!name.starts_with("step-")) {
      files[name] = read_file(entry.path());
    } else if (entry.path().filename() == "manifest.json") {
      nlohmann::json header = model::TensorFolder(entry.path().parent_path()).header();
      header.erase("made_on");
      header.at("position").erase("events_bytes");  // times of the wall clock are longer or shorter
      files[name] = model::TensorFolder(entry.path().parent_path()).hash() + header.dump();
    }
  }
  return files;
}

/// Names of the files that differ, for messages shorter than the files.
inline std::string difference(const std::map<std::string, std::string>& a,
                              const std::map<std::string, std::string>& b) {
  std::string text;
  for (const auto& [name, contents] : a)
    if (!b.contains(name))
      text += name + " is absent; ";
    else if (b.at(name) != contents)
      text += name + " differs; ";
  for (const auto& [name, contents] : b)
    if (!a.contains(name)) text += name + " is new; ";
  return text;
}

}  // namespace zonda
