#include <algorithm>
#include <cctype>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "jobs/workflow_export.hpp"

namespace zonda::jobs {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view head = R"(set -u
export ECF_HOST=%ECF_HOST% ECF_PORT=%ECF_PORT% ECF_NAME=%ECF_NAME% ECF_PASS=%ECF_PASS% ECF_TRYNO=%ECF_TRYNO%
export ECF_RID=${SLURM_JOB_ID:-$$}
ecflow_client --init="$ECF_RID"
trap 'ecflow_client --abort="exit code $?"' EXIT
)";

constexpr std::string_view tail = R"([ "$code" -eq 0 ] || exit "$code"
trap - EXIT
ecflow_client --complete
)";

/// ecFlow's names have letters, digits, `_` and `.` only.
std::string node_name(const std::string& text) {
  std::string name = text;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
}

/// A `%` that is none of ecFlow's.
std::string doubled_percent(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '%' ? "%%" : std::string(1, c);
  return result;
}

std::string edit(const std::string& name, const std::string& value) {
  if (value.find('\'') != std::string::npos)
    fail(ErrorKind::usage, "ecFlow's definition cannot hold the quote in {}", value);
  return "edit " + name + " '" + value + "'\n";
}

std::string trigger(const BatchJob& job, const std::vector<BatchJob>& jobs) {
  std::string condition;
  for (const std::string& before : job.after) {
    const bool there =
        std::any_of(jobs.begin(), jobs.end(), [&](const BatchJob& other) { return other.stage == before; });
    if (there) condition += (condition.empty() ? "" : " and ") + before + " == complete";
  }
  return condition.empty() ? "" : "    trigger " + condition + "\n";
}

std::string definition(const Site& site, const std::vector<BatchJob>& jobs, const std::string& suite,
                       const fs::path& folder) {
  std::string text = "suite " + suite + "\n";
  text += "  " + edit("ECF_HOME", folder.string());
  text += "  " + edit("ECF_FILES", (folder / suite).string());
  text += "  " + edit("ECF_INCLUDE", (folder / "include").string());
  text += "  " + edit("ECF_TRIES", std::to_string(std::max(1, site.restarts)));
  text += "  " + edit("ECF_JOB_CMD", "sbatch --parsable %ECF_JOB% > %ECF_JOB%.sub 2>&1");
  text += "  " + edit("ECF_KILL_CMD", "scancel %ECF_RID%");
  for (const BatchJob& job : jobs) {
    if (job.shares == 1) {
      text += "  task " + job.stage + "\n" + trigger(job, jobs);
      continue;
    }
    text += "  family " + job.stage + "\n" + trigger(job, jobs);
    for (std::size_t i = 0; i < job.shares; ++i) {
      text += fmt::format("    family share_{}\n      {}      task {}\n    endfamily\n", i,
                          edit("SHARE", std::to_string(i)), job.stage);
    }
    text += "  endfamily\n";
  }
  return text + "endsuite\n";
}

std::string task_script(const Site& site, const BatchJob& job, const JobFolders& folders) {
  std::string text = "#!/bin/bash\n#SBATCH --job-name=%TASK%\n#SBATCH --output=%ECF_JOBOUT%\n#SBATCH --no-requeue\n";
  text += "#SBATCH " + doubled_percent(shell_quote("--chdir=" + folders.work.string())) + "\n";
  for (const std::string& option : resource_options(site, job)) text += "#SBATCH " + doubled_percent(option) + "\n";
  text += "%include <head.h>\n" + doubled_percent(launch_function(site, job));
  // The share is ecFlow's variable: the only `%` that stays.
  const std::string mark(1, '\1');
  std::string launch = doubled_percent(launch_and_wait(site, job, mark));
  if (const auto at = launch.find(mark); at != std::string::npos) launch.replace(at, 1, "%SHARE%");
  return text + launch + "%include <tail.h>\n";
}

}  // namespace

std::vector<fs::path> write_ecflow(const Site& site, const std::vector<BatchJob>& jobs, const JobFolders& folders,
                                   const fs::path& to) {
  const fs::path folder = fs::absolute(to).lexically_normal();
  const std::string suite = node_name(folders.run);
  std::vector<fs::path> files;
  const auto write = [&files](const fs::path& path, std::string_view text) {
    fs::create_directories(path.parent_path());
    write_file(path, text);
    files.push_back(path);
  };
  write(folder / (suite + ".def"), definition(site, jobs, suite, folder));
  for (const BatchJob& job : jobs) write(folder / suite / (job.stage + ".ecf"), task_script(site, job, folders));
  write(folder / "include" / "head.h", head);
  write(folder / "include" / "tail.h", tail);
  return files;
}

}  // namespace zonda::jobs
