#pragma once
// The section `train` of a run file.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "model/network/network_config.hpp"

namespace zonda {
class Grid;
namespace config {
class Table;
}
}  // namespace zonda

namespace zonda::model {

/// Where the model is judged while it learns.
struct ValidationConfig {
  std::optional<Time> start,
      end;  ///< default: the last `fraction` of the training period, at least one initial time with its states
  double fraction = 0.05;
  int every = 200;                    ///< optimiser steps between two validations; 0: only at the end
  int samples = 32;                   ///< initial times, spread evenly over the period
  Duration lead{24 * 3600};           ///< lead of the RMSE, stepped with the largest step that divides it
  std::vector<Duration> curve;        ///< leads of the RMSE at the end of each phase
  std::vector<std::string> channels;  ///< whose RMSE is printed; default: z500, t850, 2t and the like, as present
};

struct CheckpointConfig {
  int every = 200;     ///< optimiser steps
  int keep = 2;        ///< the last k stay
  int keep_every = 0;  ///< besides those, every m-th step stays; 0: none
};

/// Second phase: gradients through several consecutive steps.
struct RolloutConfig {
  int steps = 200;
  int lead_steps = 3;
  std::vector<Duration> step_lengths;  ///< default: the largest of the model's steps
  double learning_rate = 5e-5;
  int warm_up = 10;
  std::string weights = "equal";  ///< of the steps' losses
  int batch = 0;                  ///< 0: as in the first phase
};

/// Phase of single steps from states the model itself predicted.
struct ReplayConfig {
  int steps = 200;
  int lead_steps = 10;                 ///< predictions go on to be inputs until so many steps led to them
  int entries = 4;                     ///< states kept, of each sample of the batch
  double share = 0.5;                  ///< of samples that begin at a predicted state
  std::vector<Duration> step_lengths;  ///< default: all of the model's steps
  double learning_rate = 5e-5;
  int warm_up = 10;
  int batch = 0;  ///< 0: as in the first phase
};

/// Phase in which only the adapters of `network.lora` learn: a rollout without gradient to a lead, then one step.
struct AdaptersConfig {
  int steps = 200;
  int lead_steps = 10;                 ///< leads are drawn evenly from so many steps
  std::vector<Duration> step_lengths;  ///< default: the largest of the model's steps
  double learning_rate = 1e-4;
  int warm_up = 10;
  int batch = 0;  ///< 0: as in the first phase
};

struct TrainConfig {
  NetworkConfig network;
  std::optional<std::string> start_from;  ///< model folder whose weights and normalisation training begins with
  std::string freeze = "none";            ///< or `lifted`: what a lifted network has of the coarse one
  std::optional<Time> start, end;         ///< default: the period of the archive's statistics
  ValidationConfig validation;
  CheckpointConfig checkpoint;
  std::vector<Duration> steps_between{Duration{6 * 3600}, Duration{12 * 3600}, Duration{24 * 3600}};
  std::vector<int> step_shares;  ///< how often each step is drawn, relative to the others
  std::string target = "tendency";
  std::vector<std::string> forcings{"insolation", "cos_day_of_year", "sin_day_of_year", "cos_local_time",
                                    "sin_local_time"};
  int batch = 8;
  int micro_batch = 1;  ///< samples that pass the network together, batch / micro_batch times; results depend on it
  int steps = 1000;
  std::optional<double>
      minutes;  ///< wall-clock budget of the first phase: the schedule follows whichever runs out first
  double learning_rate = 5e-4;
  double final_learning_rate = 0;  ///< at the end of the cosine
  int warm_up = 50;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double weight_decay = 0.1;
  double clip = 1;
  double ema_decay = 0.99;
  std::string loss = "mse";
  int members = 1;                           ///< of an ensemble, told apart by network.noise; the loss is then `crps`
  std::vector<std::string> channel_weights;  ///< `z500=2.0`, over the rules
  double input_noise = 0;                    ///< standard deviation of noise added to the normalised input states
  bool roll_longitude = false;               ///< each example is turned around the globe by a random number of columns
  double outlier = 6;                        ///< z-score of loss or gradient norm at which a step is left out; 0: never
  std::optional<RolloutConfig> rollout;
  std::optional<ReplayConfig> replay;
  std::optional<AdaptersConfig> adapters;
  std::string device = "auto";
  std::optional<double> memory;  ///< bytes a rank may use
  std::string mesh;              ///< `data=2,spatial=4`; ranks that are not named are on data
  int ranks_per_node = 0;        ///< between which exchanges over many ranks go in levels; 0: as they are found
  int zero = 1;                  ///< what is cut over the ranks: 1 moments, 2 gradients, 3 values as well
  int chunks = 0;                ///< of latitude, whose sums are added over a tree; 0: as many as the grid allows
  std::string reduction = "canonical";  ///< or `fast`: sums over ranks in the library's order
  bool trace = false;                   ///< write what every rank did when
  int replay_check = 0;                 ///< every so many steps the gradient is computed twice; 0: never
  std::uint64_t seed = 1;
  int reader_threads = 1;
  int read_ahead = 3;    ///< batches
  double cache = 1.5e9;  ///< bytes of fields kept in memory
  std::string licence = "Apache-2.0";
};

void describe(config::Table& table, ValidationConfig& config);
void describe(config::Table& table, CheckpointConfig& config);
void describe(config::Table& table, RolloutConfig& config);
void describe(config::Table& table, ReplayConfig& config);
void describe(config::Table& table, AdaptersConfig& config);
void describe(config::Table& table, TrainConfig& config);

/// Optimiser steps of all phases.
std::int64_t total_steps(const TrainConfig& config);
/// Chunks of latitude in which the network's sums are taken: the configuration's, or as many as the grid allows.
int training_chunks(const TrainConfig& config, const Grid& grid);
/// `cuda` or `cpu`, as the configuration asks for and this machine has.
std::string chosen_backend(const TrainConfig& config);

}  // namespace zonda::model
