#pragma once
// The section `plan`: what a network costs, from a grid and a list of channels alone.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/network/network_config.hpp"

namespace zonda::config {
class Table;
}

namespace zonda::app {

struct NetworkPlanSection {
  model::NetworkConfig network;
  std::string grid;
  std::string preset;  ///< of channels
  std::vector<std::string> variables, channels;
  std::vector<int> levels;
  std::vector<std::string> statics{"orog", "lsm"};
  std::vector<std::string> forcings{"insolation", "cos_day_of_year", "sin_day_of_year", "cos_local_time",
                                    "sin_local_time"};
  int batch = 1;                ///< samples that pass the network together
  double device_memory = 80e9;  ///< bytes
};

void describe(config::Table& table, NetworkPlanSection& section);

struct NetworkPlanText {
  nlohmann::ordered_json record;
  std::string text;
};
/// Parameters, work, memory of training for each way of recomputing, and the fewest devices it fits on.
NetworkPlanText plan_network(const NetworkPlanSection& section);

/// Where and how a step of training would be made.
struct StepPlanWords {
  std::filesystem::path system;  ///< description of the machine
  std::string mesh;
  int ranks = 1, zero = 3, batch = 0;  ///< batch 0: one micro-batch for each data rank
  std::string recompute = "block";
};
/// Work, traffic, time and memory of a rank. Throws Error(usage) naming the file and key that is wrong.
NetworkPlanText plan_step(const NetworkPlanSection& section, const StepPlanWords& words);

}  // namespace zonda::app
