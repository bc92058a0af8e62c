#include "assimilation/cycling/cycle.hpp"

#include <CLI/CLI.hpp>

#include "app/stages.hpp"
#include "assimilation/cycling/cycle_table.hpp"
#include "core/atomic_file.hpp"

namespace zonda::app {

void cycle(const RunFile& run_file, const RunDirectory& directory, const Session& session, bool resume) {
  assimilation::run_cycle(run_file.sections.cycle->config(), session.world, directory.cycling(), resume);
}

Verb cycle_verb() {
  struct Words : RunFileWords {
    bool restart = false;
  };
  return {"cycle", "Forecasts and analyses in turn, from observations", "zonda cycle configs/osse-short.yaml",
          [](CLI::App& command, Session& session) {
            auto words = std::make_shared<Words>();
            add_run_file_words(command, *words);
            command.add_flag("--restart", words->restart, "Begin at the first cycle, whatever is there");
            return [&session, words] {
              const RunFile run_file = load_run_file(*words);
              require_section(run_file, run_file.sections.cycle.has_value(), "cycle");
              const RunDirectory directory = open_run_directory(run_file, session.world);
              cycle(run_file, directory, session, !words->restart);
              if (run_file.sections.report) report(run_file, directory, session);
              if (session.speaks()) print_result(session, assimilation::cycle_table(directory.cycling(), session.json));
            };
          }};
}

}  // namespace zonda::app
