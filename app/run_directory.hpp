#pragma once
// Where a run keeps its things; see docs/architecture.md, "The run directory".
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "app/run_file.hpp"
#include "parallel/communicator.hpp"

namespace zonda::app {

struct RunDirectory {
  std::filesystem::path root;
  std::filesystem::path simulation() const { return root / "simulation"; }
  std::filesystem::path archive() const { return root / "archive"; }
  std::filesystem::path checkpoints() const { return root / "checkpoints"; }
  std::filesystem::path model() const { return checkpoints() / "model"; }
  std::filesystem::path distilled() const { return root / "distilled"; }
  std::filesystem::path cycling() const { return root / "cycling"; }
  std::filesystem::path forecast() const { return root / "forecast"; }
};

/// Makes the folder and writes config.yaml, config.full.yaml and provenance.json (root rank; all ranks wait). The log
/// goes to log.txt and progress to status.json from here on.
RunDirectory open_run_directory(const RunFile& run_file, const parallel::Communicator& world);

/// Adds the times and memory of stages.json, and the SHA-256 of the model, to provenance.json.
void record_provenance(const RunFile& run_file, const RunDirectory& directory, const parallel::Communicator& world);

}  // namespace zonda::app
