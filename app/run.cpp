#include <CLI/CLI.hpp>

#include "app/workflow.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "jobs/local_driver.hpp"

namespace zonda::app {
namespace {

/// What a run made; the run file and the log stay.
void remove_results(const RunDirectory& directory) {
  for (const auto& path : {directory.simulation(), directory.archive(), directory.checkpoints(), directory.distilled(),
                           directory.cycling(), directory.forecast(), directory.root / "stages.json",
                           directory.root / "stages", directory.root / "scores.json", directory.root / "scores.csv",
                           directory.root / "report", directory.root / "index.html"}) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) fail(ErrorKind::failure, "{}: cannot be removed: {}", path.string(), error.message());
  }
}

/// The jobs of an array meet in the run directory: each leaves its share of the results and the record of it, no more.
void run_share(const RunFile& run_file, const std::string& stage, Share share, const Session& session) {
  const RunDirectory directory{run_file.directory()};
  const jobs::Workflow workflow = make_workflow(run_file, directory, session, share);
  if (workflow.stage(stage).pieces < share.of)
    fail(ErrorKind::usage, "--share {}: stage '{}' can be cut into {} at most", share.to_string(), stage,
         workflow.stage(stage).pieces);
  jobs::run_locally(workflow, {directory.root, session.speaks(), true, stage, share});
}

}  // namespace

Verb run_verb() {
  struct Words : RunFileWords {
    bool restart = false, resume = false;
    std::string stage, share;
  };
  return {"run", "Run the stages of a run file in order", "zonda run configs/quickstart.yaml train.steps=500",
          [](CLI::App& command, Session& session) {
            auto words = std::make_shared<Words>();
            add_run_file_words(command, *words);
            auto* restart =
                command.add_flag("--restart", words->restart, "Remove the results of an earlier run and begin anew");
            command.add_flag("--resume", words->resume, "Continue an earlier run (the default where there is one)")
                ->excludes(restart);
            auto* stage = command
                              .add_option("--stage", words->stage,
                                          "This stage alone; those before it must be done (what batch jobs run)")
                              ->excludes(restart);
            command
                .add_option("--share", words->share,
                            "With --stage forecast: i/N, this job's share of the initial times")
                ->needs(stage);
            return [&session, words] {
              const RunFile run_file = load_run_file(*words);
              const Share share = words->share.empty() ? Share{} : parse_share(words->share);
              if (!share.whole()) return run_share(run_file, words->stage, share, session);
              const RunDirectory directory = open_run_directory(run_file, session.world);
              if (words->restart && session.speaks()) remove_results(directory);
              session.world.barrier();
              const jobs::Workflow workflow = make_workflow(run_file, directory, session);
              jobs::run_locally(workflow, {directory.root, session.speaks(), true, words->stage});
              record_provenance(run_file, directory, session.world);
              if (run_file.sections.verify && words->stage.empty()) print_headline(run_file, directory, session);
            };
          }};
}

}  // namespace zonda::app
