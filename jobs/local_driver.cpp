#include "jobs/local_driver.hpp"

#include <algorithm>
#include <chrono>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/provenance.hpp"
#include "jobs/stage_records.hpp"

namespace zonda::jobs {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void require_those_before(const Stage& stage, const std::vector<std::string>& finished) {
  std::string missing;
  for (const std::string& name : stage.after)
    if (!contains(finished, name)) missing += (missing.empty() ? "" : ", ") + name;
  if (!missing.empty())
    fail(ErrorKind::data, "stage '{}' needs stages that are not done with this configuration: {}", stage.name, missing);
}

/// The stage alone, with its states in status.json. Steps are the stage's own to tell.
StageRecord run_stage(const Stage& stage, const LocalOptions& options) {
  if (options.is_root) write_status(stage.name, "running", 0, 0, "");
  const auto begin = std::chrono::steady_clock::now();
  try {
    stage.body();
  } catch (const Interrupted& stop) {
    if (options.is_root) write_status(stage.name, "interrupted", 0, 0, stop.what());
    throw;
  } catch (const std::exception& error) {
    const auto* own = dynamic_cast<const Error*>(&error);
    const int code = own ? own->exit_code() : static_cast<int>(ErrorKind::failure);
    record_exit_code(options.run_directory, stage.name, options.share, code);
    if (options.is_root) write_status(stage.name, "failed", 0, 0, error.what());
    throw;
  }
  return {stage.fingerprint, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
          peak_resident_bytes()};
}

}  // namespace

std::vector<std::string> finished_stages(const Workflow& workflow, const std::filesystem::path& run_directory) {
  return StageRecords(run_directory).finished(workflow);
}

void run_locally(const Workflow& workflow, const LocalOptions& options) {
  const auto order = workflow.order();
  StageRecords records(options.run_directory);
  std::vector<std::string> finished;
  if (options.resume || !options.only.empty()) finished = records.finished(workflow);
  if (!options.only.empty()) require_those_before(workflow.stage(options.only), finished);
  const auto of = static_cast<std::int64_t>(order.size());
  std::int64_t step = 0;
  for (const std::size_t i : order) {
    const Stage& stage = workflow.stages()[i];
    ++step;
    if (!options.only.empty() && stage.name != options.only) continue;
    if (options.resume && contains(finished, stage.name)) {
      log::info("[{}/{}] {}: done before", step, of, stage.name);
      continue;
    }
    if (options.share.whole()) {
      log::info("[{}/{}] {}", step, of, stage.name);
      const StageRecord record = run_stage(stage, options);
      if (options.is_root) records.add(stage.name, record, finished);
      finished.push_back(stage.name);
    } else {
      log::info("[{}/{}] {}, share {}", step, of, stage.name, options.share.to_string());
      const StageRecord record = run_stage(stage, options);
      if (options.is_root) records.add_share(stage.name, options.share, record);
    }
    if (options.is_root && !options.only.empty()) write_status(stage.name, "done", 0, 0, "");
  }
  const bool all = std::all_of(workflow.stages().begin(), workflow.stages().end(),
                               [&](const Stage& stage) { return contains(finished, stage.name); });
  if (options.is_root && all) write_status("run", "done", 0, 0, "");
}

}  // namespace zonda::jobs
