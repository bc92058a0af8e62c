#pragma once
// The section `forecast` of a run file.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"

namespace zonda::config {
class Table;
}

namespace zonda::inference {

/// Initial states from files instead of the archive.
struct StateFilesConfig {
  std::vector<std::string> path;       ///< files, folders (Zarr) or globs
  std::vector<std::string> variables;  ///< `NAME_IN_FILE=short name`
  std::vector<std::string> units;      ///< `NAME_IN_FILE=unit to believe`
};

/// What each step adds is damped beyond total wavenumber `from`, down to nothing at `to`.
struct TaperConfig {
  int from = 0, to = 0;
};

struct ForecastConfig {
  std::vector<Time> times;         ///< initial times; or:
  std::optional<Time> start, end;  ///< the first and last initial time
  Duration every{24 * 3600};       ///< between them
  Duration lead{10 * 24 * 3600};
  Duration output_step{24 * 3600};
  std::string strategy = "mean";
  std::vector<std::string> channels;  ///< written; default: all
  std::optional<int> keep_bits;
  int deflate = 1;
  int batch = 8;           ///< forecasts (initial times and members) that pass the network together
  int members = 1;         ///< of an ensemble, each in a file of its own; 1: one forecast without noise
  std::uint64_t seed = 1;  ///< of the members' noise
  bool adapters = true;    ///< of models that have them: off shows the base network
  bool bounds = true;      ///< humidity, cloud and precipitation are kept within what is possible
  std::optional<TaperConfig> spectral_taper;
  bool range_check = true;     ///< values outside the physical range are an error
  bool write_initial = false;  ///< the state at lead 0 is written as well
  std::string mesh;  ///< how ranks share forecasts: `spatial=4` cuts each into slabs of latitude, data ranks take turns
  bool collective_writing = false;  ///< every slab's rank writes its rows itself
  std::string device = "auto";
  std::string precision = "model";  ///< of the trunk's products: as the model was trained, fp32, bf16 or int8
  std::optional<StateFilesConfig> source;
};

void describe(config::Table& table, StateFilesConfig& config);
void describe(config::Table& table, TaperConfig& config);
void describe(config::Table& table, ForecastConfig& config);

/// The initial times in order. `available` (ascending): what the states' source has; without times, start or end in the
/// configuration it is the last one that has a state `longest_step` before it. Throws Error(usage) if there are none.
std::vector<Time> initial_times(const ForecastConfig& config, const std::vector<Time>& available,
                                Duration longest_step);

}  // namespace zonda::inference
