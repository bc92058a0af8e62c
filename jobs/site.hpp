#pragma once
// A site: how jobs are submitted on one cluster. A small YAML file, read as strictly as a run file.
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config/table.hpp"

namespace zonda::jobs {

/// What a stage asks for where it differs from the site's default.
struct StagePlacement {
  std::optional<int> nodes, ranks_per_node, cpus_per_rank, gpus_per_node;
  std::optional<int> array;
  std::optional<double> memory_gib;
  std::optional<Duration> time;
  std::vector<std::string> sbatch;
};

/// By the stage's name.
using StagePlacements = std::vector<std::pair<std::string, StagePlacement>>;

struct Site {
  /// `stages`: names that the section `stages` may have.
  explicit Site(const std::vector<std::string>& stages);

  std::string partition, account, qos;
  int nodes = 1, ranks_per_node = 1, cpus_per_rank = 1, gpus_per_node = 0;
  int array = 8;                     ///< most jobs of an array
  std::optional<double> memory_gib;  ///< of a node, where the plan does not know
  Duration time{3600};
  std::optional<double> gflops_per_rank;
  std::string launcher = "srun", mpi = "pmix";
  std::vector<std::string> launcher_options;
  std::string program;  ///< default: this program's own path
  std::string container;
  std::vector<std::string> modules, environment, setup, sbatch;
  bool requeue_exit = false;
  int restarts = 16;
  Duration grace{120};
  std::string cylc_platform;
  StagePlacements stages;

  const StagePlacement& placement(const std::string& stage) const;
};

void describe(config::Table& table, StagePlacement& placement);
void describe(config::Table& table, StagePlacements& placements);
void describe(config::Table& table, Site& site);

/// The file's site; without a path the defaults: one rank on one node of the default partition. Throws Error(usage)
/// with every fault's file, key, line and column.
Site load_site(const std::filesystem::path& path, const std::vector<std::string>& stages);

/// The reference table of site files, Markdown.
std::string site_reference(const std::vector<std::string>& stages);

}  // namespace zonda::jobs
