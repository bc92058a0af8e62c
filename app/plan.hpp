#pragma once
// What a stage would need, from the run file and what is there already.
#include "app/run_directory.hpp"
#include "app/run_file.hpp"

namespace zonda::app {

/// The stage's part of `zonda plan --json` on so many ranks: `{memory_bytes_per_rank, flops_per_step, ...}`. Empty for
/// stages without a plan; `{unknown_until: why}` where it reads what is not there yet.
config::Json plan_stage(const RunFile& run_file, const RunDirectory& directory, const std::string& stage, int ranks);

}  // namespace zonda::app
