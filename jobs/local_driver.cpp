#include "jobs/local_driver.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/provenance.hpp"

namespace zonda::jobs {
namespace {

using Json = nlohmann::ordered_json;

Json read_records(const std::filesystem::path& run_directory) {
  const std::filesystem::path path = run_directory / "stages.json";
  if (!std::filesystem::exists(path)) return Json::object();
  Json records = Json::parse(read_file(path), nullptr, false);
  if (!records.is_object())
    fail(ErrorKind::data, "{}: not a record of stages; remove it to run all stages again", path.string());
  return records;
}

}  // namespace

std::vector<std::string> finished_stages(const Workflow& workflow, const std::filesystem::path& run_directory) {
  const Json records = read_records(run_directory);
  std::vector<std::string> finished;
  for (const std::size_t i : workflow.order()) {
    const Stage& stage = workflow.stages()[i];
    const bool before = std::all_of(stage.after.begin(), stage.after.end(), [&](const std::string& name) {
      return std::find(finished.begin(), finished.end(), name) != finished.end();
    });
    const bool there = std::all_of(stage.results.begin(), stage.results.end(),
                                   [](const std::filesystem::path& path) { return std::filesystem::exists(path); });
    if (before && there && records.contains(stage.name) &&
        records[stage.name].value("fingerprint", "") == stage.fingerprint) {
      finished.push_back(stage.name);
    }
  }
  return finished;
}

void run_locally(const Workflow& workflow, const LocalOptions& options) {
  const auto order = workflow.order();
  std::vector<std::string> finished;
  if (options.resume) finished = finished_stages(workflow, options.run_directory);
  Json records = Json::object();
  if (const Json old = read_records(options.run_directory); options.resume) {
    for (const std::string& name : finished) records[name] = old[name];
  }
  const auto of = static_cast<std::int64_t>(order.size());
  std::int64_t step = 0;
  for (const std::size_t i : order) {
    const Stage& stage = workflow.stages()[i];
    ++step;
    if (std::find(finished.begin(), finished.end(), stage.name) != finished.end()) {
      log::info("[{}/{}] {}: done before", step, of, stage.name);
      continue;
    }
    log::info("[{}/{}] {}", step, of, stage.name);
    if (options.is_root) write_status(stage.name, "running", step, of, "");
    const auto begin = std::chrono::steady_clock::now();
    try {
      stage.body();
    } catch (const Interrupted& stop) {
      if (options.is_root) write_status(stage.name, "interrupted", step, of, stop.what());
      throw;
    } catch (const std::exception& error) {
      if (options.is_root) write_status(stage.name, "failed", step, of, error.what());
      throw;
    }
    Json record;
    record["fingerprint"] = stage.fingerprint;
    record["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    record["peak_memory_bytes"] = peak_resident_bytes();
    records[stage.name] = std::move(record);
    if (options.is_root) write_file(options.run_directory / "stages.json", records.dump(2) + "\n");
  }
  if (options.is_root) write_status("run", "done", of, of, "");
}

}  // namespace zonda::jobs
