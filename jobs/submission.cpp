#include "jobs/submission.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "jobs/slurm.hpp"

namespace zonda::jobs {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

fs::path record_path(const fs::path& run_directory) {
  return run_directory / "jobs" / "jobs.json";
}

void write_submission(const Submission& submission, const fs::path& run_directory) {
  Json jobs = Json::array();
  for (const SubmittedJob& job : submission.jobs)
    jobs.push_back({{"stage", job.stage},
                    {"fingerprint", job.fingerprint},
                    {"id", job.id},
                    {"after", job.after},
                    {"shares", job.shares},
                    {"script", job.script.string()}});
  write_file(record_path(run_directory), Json{{"submitted", submission.submitted}, {"jobs", jobs}}.dump(2) + "\n");
}

}  // namespace

std::vector<std::int64_t> Submission::ids() const {
  std::vector<std::int64_t> ids;
  for (const SubmittedJob& job : jobs) ids.push_back(job.id);
  return ids;
}

std::vector<fs::path> write_scripts(const Site& site, const std::vector<BatchJob>& jobs, const JobFolders& folders) {
  fs::create_directories(folders.scripts);
  std::vector<fs::path> scripts;
  for (const BatchJob& job : jobs) {
    scripts.push_back(folders.scripts / (job.stage + ".sh"));
    write_file(scripts.back(), batch_script(site, job, folders));
    fs::permissions(scripts.back(), fs::perms::owner_exec, fs::perm_options::add);
  }
  return scripts;
}

Submission submit_chain(const std::vector<BatchJob>& jobs, const std::vector<fs::path>& scripts,
                        const fs::path& run_directory) {
  Submission submission;
  submission.submitted = to_string(std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()));
  try {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      std::vector<std::int64_t> after;
      for (const SubmittedJob& before : submission.jobs)
        if (std::find(jobs[i].after.begin(), jobs[i].after.end(), before.stage) != jobs[i].after.end())
          after.push_back(before.id);
      const std::int64_t id = submit(scripts[i], after);
      submission.jobs.push_back({jobs[i].stage, jobs[i].fingerprint, id, jobs[i].after, jobs[i].shares, scripts[i]});
      write_submission(submission, run_directory);
    }
  } catch (...) {
    cancel(submission.ids());
    throw;
  }
  return submission;
}

Submission read_submission(const fs::path& run_directory) {
  const fs::path path = record_path(run_directory);
  if (!fs::exists(path)) return {};
  try {
    const Json record = Json::parse(read_file(path));
    Submission submission;
    submission.submitted = record.at("submitted");
    for (const Json& job : record.at("jobs"))
      submission.jobs.push_back({job.at("stage"), job.at("fingerprint"), job.at("id"), job.at("after"),
                                 job.at("shares"), job.at("script").get<std::string>()});
    return submission;
  } catch (const Json::exception&) {
    fail(ErrorKind::data, "{}: not a record of submitted jobs", path.string());
  }
}

}  // namespace zonda::jobs
