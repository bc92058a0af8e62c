#include <fmt/core.h>

#include <algorithm>
#include <sstream>

#include "core/atomic_file.hpp"
#include "jobs/workflow_export.hpp"

namespace zonda::jobs {
namespace {

namespace fs = std::filesystem;

std::string parameter(const BatchJob& job) {
  return job.stage + "_share";
}

/// The task, or all tasks of a stage cut into shares.
std::string task(const BatchJob& job) {
  return job.shares == 1 ? job.stage : job.stage + "<" + parameter(job) + ">";
}

std::string graph(const std::vector<BatchJob>& jobs) {
  std::string text;
  for (const BatchJob& job : jobs) {
    text += "            " + task(job) + "\n";
    for (const std::string& name : job.after) {
      const auto before =
          std::find_if(jobs.begin(), jobs.end(), [&](const BatchJob& other) { return other.stage == name; });
      if (before != jobs.end()) text += "            " + task(*before) + " => " + task(job) + "\n";
    }
  }
  return text;
}

/// `--key=value` or `--key value` as Cylc's `--key = "value"`.
std::string directive(const std::string& option) {
  const auto end = option.find_first_of("= ");
  const std::string value = end == std::string::npos ? "" : option.substr(end + 1);
  const std::string quote = value.find('"') == std::string::npos ? "\"" : "'";
  return "            " + option.substr(0, end) + " = " + (value.empty() ? "" : quote + value + quote) + "\n";
}

std::string indented(const std::string& text) {
  std::stringstream lines(text);
  std::string result;
  for (std::string line; std::getline(lines, line);) result += line.empty() ? "\n" : "            " + line + "\n";
  return result;
}

std::string runtime(const Site& site, const BatchJob& job, const JobFolders& folders) {
  std::string text = "    [[" + task(job) + "]]\n        script = \"\"\"\n";
  text += indented("cd " + shell_quote(folders.work.string()) + "\n" + launch_function(site, job) +
                   launch_and_wait(site, job, "$CYLC_TASK_PARAM_" + parameter(job)) + "[ \"$code\" -eq 0 ]\n");
  text += "        \"\"\"\n";
  text += fmt::format("        execution time limit = PT{}S\n", job.time.count());
  text += "        [[[directives]]]\n";
  for (const std::string& option : resource_options(site, job))
    if (!option.starts_with("--time")) text += directive(option);  // Cylc's own
  return text;
}

}  // namespace

std::vector<fs::path> write_cylc(const Site& site, const std::vector<BatchJob>& jobs, const JobFolders& folders,
                                 const fs::path& to) {
  std::string text = "[meta]\n    title = " + folders.run + "\n\n";
  std::string parameters;
  for (const BatchJob& job : jobs)
    if (job.shares > 1) parameters += fmt::format("    {} = 0..{}\n", parameter(job), job.shares - 1);
  if (!parameters.empty()) text += "[task parameters]\n" + parameters + "\n";
  text += "[scheduling]\n    [[graph]]\n        R1 = \"\"\"\n" + graph(jobs) +
          "        \"\"\"\n\n[runtime]\n    [[root]]\n";
  if (!site.cylc_platform.empty()) text += "        platform = " + site.cylc_platform + "\n";
  text += fmt::format("        execution retry delays = {}*PT1M\n", std::max(1, site.restarts));
  for (const BatchJob& job : jobs) text += runtime(site, job, folders);
  const fs::path path = fs::absolute(to).lexically_normal() / "flow.cylc";
  fs::create_directories(path.parent_path());
  write_file(path, text);
  return {path};
}

}  // namespace zonda::jobs
