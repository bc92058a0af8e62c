#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/verb.hpp"
#include "jobs/run_status.hpp"

namespace zonda::app {

Verb status_verb() {
  return {"status", "How a run stands: its stages, here or in Slurm's queue", "zonda status runs/quickstart",
          [](CLI::App& command, Session& session) {
            auto directory = std::make_shared<std::filesystem::path>();
            command.add_option("RUN_DIRECTORY", *directory, "Run directory")->required();
            return [&session, directory] {
              if (!session.speaks()) return;
              const jobs::Submission submission = jobs::read_submission(*directory);
              const jobs::RunStatus status = jobs::judge_run(*directory, submission, jobs::query(submission.ids()));
              print_result(session, session.json ? jobs::to_json(status).dump(2) : jobs::to_table(status));
            };
          }};
}

}  // namespace zonda::app
