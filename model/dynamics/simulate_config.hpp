#pragma once
// The `simulate` section of a run file.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config/table.hpp"
#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"
#include "model/dynamics/mountains.hpp"
#include "model/dynamics/primitive_equations.hpp"

namespace zonda::model {

struct SimulateConfig {
  int truncation = 30;
  int levels = 8;
  std::vector<double> half_levels;
  std::optional<Duration> time_step;
  Time start = parse_time("2000-01-01");
  int days = 30;
  std::optional<int> spinup_days;
  std::string initial = "rest";
  std::string forcing = "held-suarez";
  bool moisture = false;
  bool seasons = false;
  double season_amplitude = 10;
  std::vector<Mountain> mountains{{43, 252, 1800, 16, 9}, {32, 88, 3500, 9, 18}, {-20, 291, 1500, 18, 5}};
  int members = 1;
  std::uint64_t seed = 1;
  std::optional<double> noise;
  Duration output = std::chrono::hours(6);
  std::string grid = "model";
  std::vector<std::string> variables{"z", "t", "u", "v", "sp", "msl", "2t", "orog"};
  std::vector<int> pressure_levels{850, 700, 500, 250};
  std::string files = "month";
  int deflate = 1;
  std::optional<int> keep_bits;
  Duration restart = std::chrono::hours(240);
  int diffusion_order = 8;
  Duration diffusion_time = std::chrono::seconds(8640);
  double filter_strength = 0.1;
  double filter_partition = 0.53;
  double wind_limit = 400;
  int threads = 0;
};

void describe(config::Table& table, Mountain& mountain);
void describe(config::Table& table, SimulateConfig& config);

/// The time step, s: as given, or the longest that is stable for the truncation (2160 s at T30, inversely proportional)
/// and divides `output`.
double time_step_seconds(const SimulateConfig& config);
/// Days before `start`: as given, or 100 where weather must first arise from rest, else 0.
int spinup_days(const SimulateConfig& config);
CoreParameters core_parameters(const SimulateConfig& config);
/// The grid of the files. Throws Error(usage).
Grid output_grid(const SimulateConfig& config);
/// Variables with pressure levels on every level, levels ascending in height; then the others. Throws Error(usage).
std::vector<Channel> output_channels(const SimulateConfig& config);

}  // namespace zonda::model
