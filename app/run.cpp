#include <CLI/CLI.hpp>

#include "app/stages.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "jobs/local_driver.hpp"

namespace zonda::app {
namespace {

/// The run file's stages as a chain: each reads what the one before wrote.
jobs::Workflow make_workflow(const RunFile& run_file, const RunDirectory& directory, const Session& session) {
  const std::map<std::string, std::function<void()>> bodies{
      {"simulate", [&] { simulate(run_file, directory, session); }},
      {"ingest", [&] { ingest(run_file, directory, session); }},
      {"train", [&] { train(run_file, directory, session, true); }},
      {"forecast", [&] { forecast(run_file, directory, session); }},
      {"verify", [&] { verify(run_file, directory, session); }},
      {"report",
       [&] {
         record_provenance(run_file, directory, session.world);
         report(run_file, directory, session);
       }},
  };
  const std::map<std::string, std::vector<std::filesystem::path>> results{
      {"simulate", {directory.simulation()}},
      {"ingest", {directory.archive() / "archive.json"}},
      {"train", {directory.model()}},
      {"forecast", {directory.forecast()}},
      {"verify", {directory.root / "scores.json"}},
      {"report", {directory.root / "index.html"}},
  };
  const config::Json sections = config::dump(run_file.sections);
  jobs::Workflow workflow;
  std::vector<std::string> before;
  for (const std::string& name : run_file.stages()) {
    workflow.add({name, before, sha256(sections[name].dump()), bodies.at(name), results.at(name)});
    before = {name};
  }
  return workflow;
}

/// What a run made; the run file and the log stay.
void remove_results(const RunDirectory& directory) {
  for (const auto& path : {directory.simulation(), directory.archive(), directory.checkpoints(), directory.forecast(),
                           directory.root / "stages.json", directory.root / "scores.json",
                           directory.root / "scores.csv", directory.root / "report", directory.root / "index.html"}) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) fail(ErrorKind::failure, "{}: cannot be removed: {}", path.string(), error.message());
  }
}

}  // namespace

Verb run_verb() {
  struct Words : RunFileWords {
    bool restart = false, resume = false;
  };
  return {"run", "Run the stages of a run file in order", "zonda run configs/quickstart.yaml train.steps=500",
          [](CLI::App& command, Session& session) {
            auto words = std::make_shared<Words>();
            add_run_file_words(command, *words);
            auto* restart =
                command.add_flag("--restart", words->restart, "Remove the results of an earlier run and begin anew");
            command.add_flag("--resume", words->resume, "Continue an earlier run (the default where there is one)")
                ->excludes(restart);
            return [&session, words] {
              const RunFile run_file = load_run_file(*words);
              const RunDirectory directory = open_run_directory(run_file, session.world);
              if (words->restart && session.speaks()) remove_results(directory);
              session.world.barrier();
              const jobs::Workflow workflow = make_workflow(run_file, directory, session);
              jobs::run_locally(workflow, {directory.root, session.speaks(), true});
              record_provenance(run_file, directory, session.world);
              if (run_file.sections.verify) print_headline(run_file, directory, session);
            };
          }};
}

}  // namespace zonda::app
