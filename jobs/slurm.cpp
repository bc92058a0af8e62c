#include "jobs/slurm.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "core/error.hpp"
#include "jobs/program.hpp"

namespace zonda::jobs {
namespace {

std::string join(const std::vector<std::int64_t>& jobs, char separator) {
  std::string text;
  for (const std::int64_t job : jobs) text += (text.empty() ? "" : std::string(1, separator)) + std::to_string(job);
  return text;
}

std::string trimmed(const std::string& text) {
  const auto end = text.find_last_not_of(" \n");
  return end == std::string::npos ? "" : text.substr(0, end + 1);
}

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::stringstream stream(line);
  for (std::string field; std::getline(stream, field, '|');) fields.push_back(trimmed(field));
  return fields;
}

/// `123`, or the 123 of `123_4` and `123_[0-3]`.
std::optional<std::int64_t> leading_number(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return number;
}

/// Accounting's word for a task: `CANCELLED by 0` is CANCELLED.
void look_up_in_accounting(std::int64_t job, std::map<std::int64_t, QueueState>& found) {
  const ProgramResult result = run_program(
      {"sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State", "--jobs", std::to_string(job)});
  if (!result.ok()) return;
  std::stringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    const auto fields = fields_of(line);
    if (fields.size() == 2 && leading_number(fields[0]) == job)
      ++found[job].states[fields[1].substr(0, fields[1].find(' '))];
  }
}

}  // namespace

bool QueueState::alive() const {
  for (const char* state : {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD",
                            "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED"})
    if (any(state)) return true;
  return false;
}

std::int64_t submit(const std::filesystem::path& script, const std::vector<std::int64_t>& after, bool test_only) {
  std::vector<std::string> words{"sbatch", "--parsable"};
  if (test_only) words.emplace_back("--test-only");
  if (!after.empty()) {
    words.push_back("--dependency=afterok:" + join(after, ':'));
    words.emplace_back("--kill-on-invalid-dep=yes");
  }
  words.push_back(script.string());
  const ProgramResult result = run_program(words);
  if (!result.ok())
    fail(ErrorKind::failure, "{}: not accepted: {}", script.string(), trimmed(result.errors + result.output));
  if (test_only) return 0;
  const auto job = leading_number(result.output);  // `123` or `123;cluster`
  if (!job) fail(ErrorKind::failure, "sbatch answered '{}', expected a job's number", trimmed(result.output));
  return *job;
}

std::map<std::int64_t, QueueState> parse_queue(const std::string& text) {
  std::map<std::int64_t, QueueState> jobs;
  std::stringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto fields = fields_of(line);
    const auto job = fields.size() < 2 ? std::nullopt : leading_number(fields[0]);
    if (!job) continue;
    QueueState& state = jobs[*job];
    ++state.states[fields[1]];
    if (fields.size() > 2 && fields[2] != "None") state.reason = fields[2];
    if (fields.size() > 3 && !fields[3].empty()) state.nodes = fields[3];
    if (fields.size() > 4)
      state.restarts = std::max(state.restarts, static_cast<int>(leading_number(fields[4]).value_or(0)));
  }
  return jobs;
}

std::map<std::int64_t, QueueState> query(const std::vector<std::int64_t>& jobs) {
  if (jobs.empty()) return {};
  const ProgramResult result =
      run_program({"squeue", "--noheader", "--array", "--states=all",
                   "--Format=ArrayJobID:|,State:|,Reason:|,NodeList:|,RestartCnt:|", "--jobs=" + join(jobs, ',')});
  // Of jobs that it has forgotten Slurm says that they are invalid.
  if (!result.ok() && result.errors.find("Invalid job id") == std::string::npos)
    fail(ErrorKind::temporary, "squeue: {}", trimmed(result.errors + result.output));
  std::map<std::int64_t, QueueState> found = parse_queue(result.output);
  for (const std::int64_t job : jobs)
    if (!found.contains(job)) look_up_in_accounting(job, found);
  return found;
}

void cancel(const std::vector<std::int64_t>& jobs) {
  if (jobs.empty()) return;
  std::vector<std::string> words{"scancel"};
  for (const std::int64_t job : jobs) words.push_back(std::to_string(job));
  const ProgramResult result = run_program(words);
  if (!result.ok()) fail(ErrorKind::failure, "scancel: {}", trimmed(result.errors + result.output));
}

}  // namespace zonda::jobs
