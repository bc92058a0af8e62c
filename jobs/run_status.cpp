#include "jobs/run_status.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "jobs/stage_records.hpp"

namespace zonda::jobs {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

Json read_object(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  Json json = Json::parse(read_file(path), nullptr, false);
  return json.is_object() ? json : Json::object();
}

std::string words_of(const QueueState& queue) {
  std::string text;
  for (const auto& [state, count] : queue.states) {
    if (!text.empty()) text += ", ";
    text += queue.states.size() == 1 && count == 1 ? state : fmt::format("{} {}", count, state);
  }
  return text;
}

void take_progress(StageStatus& stage, const Json& status) {
  if (status.value("stage", "") != stage.stage) return;
  stage.step = status.value("step", std::int64_t{0});
  stage.of = status.value("of", std::int64_t{0});
  stage.message = status.value("message", "");
}

/// Why a job failed: the stage's own words, if it had time for them.
std::string reason_of(const StageStatus& stage, const QueueState& queue, const Json& status) {
  if (stage.shares == 1 && status.value("stage", "") == stage.stage && status.value("state", "") == "failed")
    return status.value("message", "");
  const std::string reason = queue.reason.empty() ? "the job failed" : queue.reason;
  return fmt::format("{}, see jobs/{}-{}{}.out", reason, stage.stage, stage.job, stage.shares == 1 ? "" : "_*");
}

/// A job that is not done, by what Slurm says of it.
void judge_queued(StageStatus& stage, const QueueState& queue, const Json& status) {
  if (queue.any("RUNNING") || queue.any("COMPLETING")) {
    stage.state = "running";
    if (stage.shares == 1) take_progress(stage, status);
    if (stage.message.empty() && !queue.nodes.empty()) stage.message = "on " + queue.nodes;
  } else if (queue.alive()) {
    stage.state = "waiting";
    stage.message = queue.reason;
  } else if (queue.any("CANCELLED")) {
    stage.state = "cancelled";
    if (queue.reason.starts_with("Dependency")) stage.message = "a stage before it did not end well";
  } else if (queue.states.size() == 1 && queue.any("COMPLETED")) {
    stage.state = "failed";
    stage.message = "the job ended, but the stage left no record of it";
  } else {
    stage.state = "failed";
    stage.message = reason_of(stage, queue, status);
  }
}

StageStatus judge_job(const SubmittedJob& job, const StageRecords& records, const QueueState& queue,
                      const Json& status) {
  StageStatus stage;
  stage.stage = job.stage;
  stage.job = job.id;
  stage.shares = job.shares;
  stage.shares_done = records.shares_done(job.stage, job.fingerprint, job.shares);
  stage.job_state = words_of(queue);
  stage.restarts = queue.restarts;
  if (records.done(job.stage, job.fingerprint)) {
    stage.state = "done";
    stage.shares_done = stage.shares;
  } else if (queue.known()) {
    judge_queued(stage, queue, status);
  } else {
    stage.state = "lost";
    stage.message = "Slurm knows the job no longer, and the stage left no record";
  }
  return stage;
}

}  // namespace

RunStatus judge_run(const fs::path& run_directory, const Submission& submission,
                    const std::map<std::int64_t, QueueState>& queue) {
  if (!fs::exists(run_directory / "config.yaml"))
    fail(ErrorKind::data, "{}: not a run directory: it has no config.yaml", run_directory.string());
  const Json status = read_object(run_directory / "status.json"), done = read_object(run_directory / "stages.json");
  const StageRecords records(run_directory);
  RunStatus run{run_directory, submission.submitted, {}};
  // Stages that were done before the jobs were submitted, or without jobs at all.
  for (const auto& [name, record] : done.items()) {
    const bool submitted = std::any_of(submission.jobs.begin(), submission.jobs.end(),
                                       [&name = name](const SubmittedJob& job) { return job.stage == name; });
    if (submitted) continue;
    StageStatus stage;
    stage.stage = name;
    stage.state = "done";
    run.stages.push_back(stage);
  }
  for (const SubmittedJob& job : submission.jobs) {
    const auto found = queue.find(job.id);
    run.stages.push_back(judge_job(job, records, found == queue.end() ? QueueState{} : found->second, status));
  }
  const std::string now = status.value("stage", "");
  const bool listed =
      std::any_of(run.stages.begin(), run.stages.end(), [&](const StageStatus& stage) { return stage.stage == now; });
  if (!now.empty() && now != "run" && !listed) {
    StageStatus stage;
    stage.stage = now;
    stage.state = status.value("state", "");
    take_progress(stage, status);
    run.stages.push_back(stage);
  }
  for (StageStatus& stage : run.stages)
    if (stage.state == "failed") stage.exit_code = recorded_exit_code(run_directory, stage.stage, stage.shares);
  return run;
}

Json to_json(const RunStatus& run) {
  Json stages = Json::array();
  for (const StageStatus& stage : run.stages) {
    Json record{{"stage", stage.stage}, {"state", stage.state}, {"message", stage.message}};
    if (stage.of > 0) record.update({{"step", stage.step}, {"of", stage.of}});
    if (stage.job > 0) record.update({{"job", stage.job}, {"job_state", stage.job_state}});
    if (stage.exit_code) record["exit_code"] = *stage.exit_code;
    if (stage.restarts > 0) record["restarts"] = stage.restarts;
    if (stage.shares > 1) record.update({{"shares_done", stage.shares_done}, {"shares", stage.shares}});
    stages.push_back(record);
  }
  return {{"directory", run.directory.string()}, {"submitted", run.submitted}, {"stages", stages}};
}

std::string to_table(const RunStatus& run) {
  std::string text = run.directory.string();
  text += run.submitted.empty() ? "\n" : ", submitted " + run.submitted + "\n";
  for (const StageStatus& stage : run.stages) {
    std::string progress;
    if (stage.shares > 1)
      progress = fmt::format("{}/{} shares", stage.shares_done, stage.shares);
    else if (stage.of > 0 && stage.state == "running")
      progress = fmt::format("{}/{}", stage.step, stage.of);
    std::string message = stage.message;
    if (stage.exit_code)
      message = fmt::format("exit code {}{}{}", *stage.exit_code, message.empty() ? "" : ": ", message);
    if (stage.restarts > 0)
      message += fmt::format("{}restarted {}", message.empty() ? "" : ", ",
                             stage.restarts == 1 ? "once" : fmt::format("{} times", stage.restarts));
    std::string line = fmt::format("  {:<10} {:<11} {:>8}  {:<16} {:<13} {}", stage.stage, stage.state,
                                   stage.job > 0 ? std::to_string(stage.job) : "", stage.job_state, progress, message);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace zonda::jobs
