#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/verb.hpp"
#include "core/error.hpp"
#include "jobs/slurm.hpp"
#include "jobs/submission.hpp"

namespace zonda::app {
namespace {

void cancel_jobs(const std::filesystem::path& directory, const Session& session) {
  const jobs::Submission submission = jobs::read_submission(directory);
  if (submission.jobs.empty()) fail(ErrorKind::data, "{}: no jobs were submitted from this folder", directory.string());
  std::vector<std::int64_t> alive;
  for (const auto& [job, state] : jobs::query(submission.ids()))
    if (state.alive()) alive.push_back(job);
  jobs::cancel(alive);
  std::string text;
  for (const std::int64_t job : alive) text += fmt::format("job {} cancelled\n", job);
  if (alive.empty()) text = "no job of this run is in the queue";
  print_result(session, session.json ? nlohmann::ordered_json{{"cancelled", alive}}.dump(2) : text);
}

}  // namespace

Verb cancel_verb() {
  return {"cancel", "Take a run's jobs out of Slurm's queue", "zonda cancel runs/quickstart",
          [](CLI::App& command, Session& session) {
            auto directory = std::make_shared<std::filesystem::path>();
            command.add_option("RUN_DIRECTORY", *directory, "Run directory")->required();
            return [&session, directory] {
              if (session.speaks()) cancel_jobs(*directory, session);
            };
          }};
}

}  // namespace zonda::app
