#include <CLI/CLI.hpp>

#include "app/stages.hpp"
#include "assimilation/cycling/cycle.hpp"
#include "assimilation/cycling/cycle_table.hpp"

namespace zonda::app {

Verb assimilate_verb() {
  struct Words : RunFileWords {
    std::filesystem::path background;
  };
  return {"assimilate", "One analysis: that of cycle.start, by the first of cycle.analyses",
          "zonda assimilate configs/osse-short.yaml cycle.members=5", [](CLI::App& command, Session& session) {
            auto words = std::make_shared<Words>();
            add_run_file_words(command, *words);
            command.add_option("--background", words->background,
                               "Folder with the members' states of that time; default: what a cycle begins with");
            return [&session, words] {
              const RunFile run_file = load_run_file(*words);
              require_section(run_file, run_file.sections.cycle.has_value(), "cycle");
              const RunDirectory directory = open_run_directory(run_file, session.world);
              const std::filesystem::path results = directory.root / "analysis";
              assimilation::run_single_analysis(run_file.sections.cycle->config(), session.world, words->background,
                                                results);
              if (session.speaks()) print_result(session, assimilation::cycle_table(results, session.json));
            };
          }};
}

}  // namespace zonda::app
