#pragma once
// Runs a workflow in this process, stage by stage, and remembers in the run directory what is done.
#include <filesystem>
#include <string>
#include <vector>

#include "core/share.hpp"
#include "jobs/workflow.hpp"

namespace zonda::jobs {

struct LocalOptions {
  std::filesystem::path run_directory;
  bool is_root = true;  ///< this rank writes the records
  bool resume =
      true;  ///< skip stages that are recorded as done with the same fingerprint (and the same ones before them)
  std::string only = {};  ///< this stage alone; those before it must be done
  Share share = {};       ///< of that stage
};

/// The stages whose records in `run_directory` still hold: done, same fingerprint, and all before them too.
std::vector<std::string> finished_stages(const Workflow& workflow, const std::filesystem::path& run_directory);

/// Runs every stage that is not finished; on the root rank writes stages.json `{name: {fingerprint, seconds,
/// peak_memory_bytes}}` after each and status.json throughout. An exception of a stage ends the run and is recorded in
/// status.json. With resume, all ranks must see the same run directory. Throws Error(data) where the stages before
/// `only` are not done, naming them.
void run_locally(const Workflow& workflow, const LocalOptions& options);

}  // namespace zonda::jobs
