#pragma once
// What a step of training costs on a mesh of ranks: work, traffic and time of one rank, from the sizes of the network
// and a description of the machine. Arithmetic alone: nothing is allocated.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/forecast_state/forecast_layout.hpp"
#include "model/network/forecast_network.hpp"
#include "parallel/layout/mesh.hpp"

namespace zonda::config {
class Table;
}

namespace zonda::model {

/// Between two ranks, of one rank in one direction.
struct Link {
  double bandwidth = 0;  ///< bytes a second
  double latency = 0;    ///< seconds a message
};

/// A machine, by numbers that were measured on it or published.
struct System {
  std::string name, source;  ///< of the numbers
  int ranks_per_node = 1;
  double memory = 0;          ///< bytes of a rank
  double fp32 = 0, bf16 = 0;  ///< floating-point operations a second of a rank over a whole training step
  Link within_node, between_nodes;
};
void describe(config::Table& table, Link& link);
void describe(config::Table& table, System& system);

/// How a step is done. Throws of the functions below: Error(usage) where mesh, batch and network do not go together.
struct StepShape {
  parallel::MeshShape mesh;
  int batch = 1, micro_batch = 1;  ///< of all data ranks; samples that pass together
  int steps = 1;                   ///< of the network, gradient through all of them
  int zero = 1;
  int chunks = 0;                  ///< of latitude; 0: as many as there are slabs
  std::string recompute = "none";  ///< or mlp, block
};

/// One kind of exchange of a step, of the rank that sends most.
struct Exchange {
  std::string what;  ///< `tokens and halos`, `sums over heads`, `gradients over slabs`, ...
  std::string axis;  ///< of the mesh
  std::uint64_t messages = 0, bytes = 0;
  double seconds = 0;
};

struct StepCost {
  int ranks = 1, nodes = 1;
  double flops = 0;            ///< of the whole step, all ranks
  double rank_flops = 0;       ///< of the rank with most
  double compute_seconds = 0;  ///< of that rank
  double bubble_seconds = 0;   ///< that it waits for other stages: while the pipeline fills and empties
  std::vector<Exchange> exchanges;
  std::size_t parameter_bytes = 0;   ///< of a rank: values, copies, gradients, moments, average, as ZeRO cuts them
  std::size_t activation_bytes = 0;  ///< with tables and images
  double communication_seconds() const;
  /// Nothing is assumed to overlap.
  double seconds() const { return compute_seconds + bubble_seconds + communication_seconds(); }
  std::size_t memory_bytes() const { return parameter_bytes + activation_bytes; }
};

StepCost cost_of_step(const NetworkConfig& network, const ForecastLayout& layout, const StepShape& step,
                      const System& system);

}  // namespace zonda::model
