#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/plan.hpp"
#include "app/workflow.hpp"
#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "jobs/local_driver.hpp"
#include "jobs/slurm.hpp"
#include "jobs/submission.hpp"
#include "jobs/workflow_export.hpp"

namespace zonda::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

jobs::StageNeeds needs_of(const Json& plan) {
  jobs::StageNeeds needs;
  if (plan.contains("memory_bytes_per_rank")) needs.memory_bytes_per_rank = plan["memory_bytes_per_rank"];
  if (plan.contains("flops")) needs.flops = plan["flops"];
  if (plan.contains("flops_per_step")) needs.flops = plan["flops_per_step"].get<double>() * plan["steps"].get<double>();
  return needs;
}

/// A run file on its way into the queue.
struct Draft {
  RunFile run_file;
  RunDirectory directory;
  jobs::Site site;
  jobs::JobFolders folders;
  std::vector<jobs::BatchJob> jobs;

  /// What the jobs read: later changes of the run file do not reach them.
  fs::path frozen_run_file() const { return folders.scripts / run_file.path.filename(); }
};

/// `again`: jobs of stages that are done as well.
Draft make_draft(const RunFileWords& words, const fs::path& site_path, const Session& session, bool again) {
  RunFile run_file = load_run_file(words);
  const fs::path root = fs::absolute(run_file.directory()).lexically_normal();
  Draft draft{std::move(run_file),
              {root},
              jobs::load_site(site_path, known_stages()),
              {"", fs::current_path(), root / "jobs"},
              {}};
  draft.folders.run = draft.run_file.sections.name;
  const jobs::Workflow workflow = make_workflow(draft.run_file, draft.directory, session);
  const std::vector<std::string> finished = jobs::finished_stages(workflow, root);
  for (const std::size_t i : workflow.order()) {
    const jobs::Stage& stage = workflow.stages()[i];
    if (!again && std::find(finished.begin(), finished.end(), stage.name) != finished.end()) continue;
    std::vector<std::string> command{"run", draft.frozen_run_file().string()};
    command.insert(command.end(), words.overrides.begin(), words.overrides.end());
    command.insert(command.end(), {"--stage", stage.name});
    const int ranks = jobs::place(draft.site, stage).ranks();
    const Json plan = plan_stage(draft.run_file, draft.directory, stage.name, ranks);
    draft.jobs.push_back(jobs::make_job(draft.site, stage, needs_of(plan), command));
  }
  return draft;
}

Json describe_job(const Draft& draft, const jobs::BatchJob& job) {
  Json record{{"stage", job.stage},
              {"after", job.after},
              {"nodes", job.nodes},
              {"ranks", job.ranks()},
              {"shares", job.shares},
              {"time_seconds", job.time.count()},
              {"script", (draft.folders.scripts / (job.stage + ".sh")).string()}};
  if (job.memory_bytes) record["memory_bytes_per_node"] = *job.memory_bytes;
  return record;
}

void show_scripts(const Draft& draft, const Session& session) {
  Json records = Json::array();
  std::string text;
  for (const jobs::BatchJob& job : draft.jobs) {
    const std::string script = jobs::batch_script(draft.site, job, draft.folders);
    Json record = describe_job(draft, job);
    text += "==> " + record["script"].get<std::string>() + " <==\n" + script + "\n";
    record["text"] = script;
    records.push_back(record);
  }
  print_result(session, session.json ? records.dump(2) : text);
}

void require_empty_queue(const Draft& draft) {
  const jobs::Submission before = jobs::read_submission(draft.directory.root);
  std::string alive;
  for (const auto& [job, state] : jobs::query(before.ids()))
    if (state.alive()) alive += (alive.empty() ? "" : ", ") + std::to_string(job);
  if (!alive.empty())
    fail(ErrorKind::usage,
         "{}: jobs of this run are in the queue: {}; `zonda status` shows them, `zonda cancel` ends them",
         draft.directory.root.string(), alive);
}

void submit_jobs(const Draft& draft, const Session& session, bool test_only) {
  require_empty_queue(draft);
  open_run_directory(draft.run_file, session.world);
  fs::create_directories(draft.folders.scripts);
  write_file(draft.frozen_run_file(), draft.run_file.text);
  const std::vector<fs::path> scripts = jobs::write_scripts(draft.site, draft.jobs, draft.folders);
  Json records = Json::array();
  std::string text;
  if (test_only) {
    for (std::size_t i = 0; i < scripts.size(); ++i) {
      jobs::submit(scripts[i], {}, true);
      records.push_back(describe_job(draft, draft.jobs[i]));
      text += fmt::format("{:<10} accepted  {}\n", draft.jobs[i].stage, scripts[i].string());
    }
    return print_result(session, session.json ? records.dump(2) : text);
  }
  const jobs::Submission submission = jobs::submit_chain(draft.jobs, scripts, draft.directory.root);
  for (std::size_t i = 0; i < submission.jobs.size(); ++i) {
    const jobs::BatchJob& job = draft.jobs[i];
    Json record = describe_job(draft, job);
    record["job"] = submission.jobs[i].id;
    records.push_back(record);
    text += fmt::format("{:<10} job {:<8} {} node(s) x {} rank(s){}\n", job.stage, submission.jobs[i].id, job.nodes,
                        job.ranks_per_node, job.shares > 1 ? fmt::format(", {} jobs", job.shares) : "");
  }
  text += "zonda status " + draft.directory.root.string() + "\n";
  print_result(session, session.json ? records.dump(2) : text);
}

void export_workflow(const Draft& draft, const Session& session, const std::string& to, const fs::path& folder) {
  const std::vector<fs::path> files = to == "cylc" ? jobs::write_cylc(draft.site, draft.jobs, draft.folders, folder)
                                                   : jobs::write_ecflow(draft.site, draft.jobs, draft.folders, folder);
  open_run_directory(draft.run_file, session.world);
  fs::create_directories(draft.folders.scripts);
  write_file(draft.frozen_run_file(), draft.run_file.text);
  Json records = Json::array();
  std::string text;
  for (const fs::path& file : files) {
    records.push_back(file.string());
    text += file.string() + "\n";
  }
  print_result(session, session.json ? records.dump(2) : text);
}

}  // namespace

Verb submit_verb() {
  struct Words : RunFileWords {
    fs::path site;
    std::vector<std::string> to;
    bool dry_run = false, test_only = false;
  };
  return {"submit", "Run the stages of a run file as Slurm jobs", "zonda submit configs/speedy-short.yaml --dry-run",
          [](CLI::App& command, Session& session) {
            auto words = std::make_shared<Words>();
            add_run_file_words(command, *words);
            command.add_option("--site", words->site, "Site file (YAML): partition, nodes, ranks, modules, ...");
            auto* dry_run =
                command.add_flag("--dry-run", words->dry_run, "Print the scripts; write and submit nothing");
            auto* test_only = command
                                  .add_flag("--test-only", words->test_only,
                                            "Write the scripts and ask Slurm whether it would take them")
                                  ->excludes(dry_run);
            command
                .add_option("--export", words->to,
                            "KIND FOLDER: write the workflow for `ecflow` or `cylc` into a folder; submit nothing")
                ->expected(2)
                ->excludes(dry_run)
                ->excludes(test_only);
            return [&session, words] {
              if (!words->to.empty() && words->to[0] != "ecflow" && words->to[0] != "cylc")
                throw Error(ErrorKind::usage,
                            unknown_word("--export", words->to[0], std::vector<std::string>{"ecflow", "cylc"}));
              const Draft draft = make_draft(*words, words->site, session, !words->to.empty());
              if (!session.speaks()) return;
              if (!words->to.empty()) return export_workflow(draft, session, words->to[0], words->to[1]);
              if (draft.jobs.empty()) {
                log::info("{}: every stage is done; nothing to submit", draft.directory.root.string());
                if (session.json) print_result(session, "[]");
                return;
              }
              if (words->dry_run) return show_scripts(draft, session);
              submit_jobs(draft, session, words->test_only);
            };
          }};
}

}  // namespace zonda::app
