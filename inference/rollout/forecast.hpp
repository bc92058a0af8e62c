#pragma once
// The stage `forecast`: model and initial states -> one CF NetCDF file an initial time and member, written as it goes.
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "core/share.hpp"
#include "inference/rollout/forecast_config.hpp"

namespace zonda::parallel {
class Communicator;
}

namespace zonda::inference {

struct ForecastSummary {
  std::size_t written = 0, kept = 0;         ///< files of this share; kept: finished by an earlier run
  std::vector<std::filesystem::path> files;  ///< of its initial times and members, in order
};

/// Writes `forecast_dir/YYYYMMDDHH.nc` for each initial time, or `YYYYMMDDHH-NNN.nc` for each member of an ensemble,
/// and `forecast.json`, which names model, configuration and times. Forecasts are shared out among the ranks, and
/// before that initial times among the jobs of an array where this one has a share: the first share prepares the
/// folder, the others wait for it (Error(temporary) after a minute). The files' bytes do not depend on how. Files of an
/// earlier run with the same model and configuration are kept; those of another one are replaced. Collective. Throws
/// Error(data) for missing states or inputs that are not the model's (both values named), Error(usage) for leads that
/// the model's steps cannot reach, Error(numerical) where a forecast leaves the physical range; Interrupted on a
/// signal.
ForecastSummary run_forecast(const ForecastConfig& config, const parallel::Communicator& communicator,
                             const std::filesystem::path& archive_dir, const std::filesystem::path& model_path,
                             const std::filesystem::path& forecast_dir, Share share = {});

/// What a run would need, without reading fields.
struct ForecastPlan {
  std::size_t initial_times = 0, members = 1, leads = 0;
  std::size_t network_steps = 0;  ///< passes of one sample, over all ranks
  double flops = 0;
  std::size_t network_bytes = 0, state_bytes = 0, process_bytes = 0;
  std::size_t memory_bytes() const { return network_bytes + state_bytes + process_bytes; }  ///< of one rank
  std::size_t output_bytes = 0;                                                             ///< before compression
};
ForecastPlan plan_forecast(const ForecastConfig& config, const std::filesystem::path& archive_dir,
                           const std::filesystem::path& model_path, int ranks);

}  // namespace zonda::inference
