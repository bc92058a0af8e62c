#include "app/run_directory.hpp"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/provenance.hpp"

namespace zonda::app {

namespace fs = std::filesystem;

RunDirectory open_run_directory(const RunFile& run_file, const parallel::Communicator& world) {
  RunDirectory directory{run_file.directory()};
  if (world.is_root()) {
    std::error_code error;
    fs::create_directories(directory.root, error);
    if (error)
      fail(ErrorKind::failure, "{}: the run directory cannot be made: {}", directory.root.string(), error.message());
    write_file(directory.root / "config.yaml", run_file.text);
    write_file(directory.root / "config.full.yaml", config::to_yaml(config::dump(run_file.sections)));
    log::set_file(directory.root / "log.txt");
    set_status_file(directory.root / "status.json");
    record_provenance(run_file, directory, world);
  }
  world.barrier();
  return directory;
}

void record_provenance(const RunFile& run_file, const RunDirectory& directory, const parallel::Communicator& world) {
  if (!world.is_root()) return;
  nlohmann::ordered_json record = provenance_record(world.size());
  record["run_file"] = run_file.path.string();
  record["overrides"] = run_file.overrides;
  record["configuration_sha256"] = sha256(config::dump(run_file.sections).dump());
  record["seeds"] = run_file.seeds();
  if (fs::exists(directory.root / "stages.json")) {
    record["stages"] = nlohmann::ordered_json::parse(read_file(directory.root / "stages.json"));
  }
  nlohmann::ordered_json inputs = nlohmann::ordered_json::object();
  if (const fs::path manifest = directory.archive() / "archive.json"; fs::exists(manifest)) {
    inputs["archive"] = sha256_file(manifest);  // holds the checksum of every unit
  }
  if (const fs::path manifest = directory.model() / "manifest.json"; fs::exists(manifest)) {
    inputs["model"] = sha256_file(manifest);  // holds the checksum of every tensor
  }
  if (const fs::path sources = directory.root / "inputs.json"; fs::exists(sources)) {
    inputs["sources"] = nlohmann::ordered_json::parse(read_file(sources));
  }
  record["inputs_sha256"] = inputs;
  write_file(directory.root / "provenance.json", record.dump(2) + "\n");
}

}  // namespace zonda::app
