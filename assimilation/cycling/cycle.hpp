#pragma once
// The stage `cycle`: forecasts and analyses in turn.
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "assimilation/cycling/cycle_config.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

/// Runs the analyses of the configuration one after another, members over ranks, and writes below `directory`, for each
/// analysis NAME:
///   NAME/cycles.jsonl      a record of each cycle: observations read, used and rejected by reason, departures, scores
///   NAME/analysis_TIME.nc  the mean of the analysis members on the configured channels (CF NetCDF)
///   NAME/feedback/feedback_TIME.h5  each observation, its flag, and H of background and analysis (IODA's layout)
///   NAME/states/TIME/      the members (state files), the truth, and cycle.json, which makes them valid
///   NAME/summary.json      scores and diagnostics over all cycles after the spin-up
/// and assimilation.json, which lists the analyses. With `resume` each continues after its last whole cycle; the files
/// are those of an unbroken run, on any number of ranks. Throws Interrupted after a whole cycle where a stop was
/// requested, Error(numerical) from the model or the spectrum gate, Error(data) on states of another model.
void run_cycle(const CycleConfig& config, const parallel::Communicator& communicator,
               const std::filesystem::path& directory, bool resume);

/// One analysis, that of `config.start`, by the first way of `config.analyses`, from the members in `background` (state
/// files member_000.state ... of that time) or, where it is empty, from what a cycle begins with. Writes the same
/// files. Throws Error(data) where the members are of another model, grid or time.
void run_single_analysis(const CycleConfig& config, const parallel::Communicator& communicator,
                         const std::filesystem::path& background, const std::filesystem::path& directory);

}  // namespace zonda::assimilation
