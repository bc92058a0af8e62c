#include "model/dynamics/simulate.hpp"

#include <CLI/CLI.hpp>

#include "app/stages.hpp"

namespace zonda::app {

void simulate(const RunFile& run_file, const RunDirectory& directory, const Session& session) {
  model::run_simulate(*run_file.sections.simulate, session.world, directory.simulation(), true);
}

Verb simulate_verb() {
  return {"simulate", "Run the embedded atmosphere and write CF NetCDF files",
          "zonda simulate configs/quickstart.yaml simulate.days=30", [](CLI::App& command, Session& session) {
            auto words = std::make_shared<RunFileWords>();
            add_run_file_words(command, *words);
            return [&session, words] {
              const RunFile run_file = load_run_file(*words);
              require_section(run_file, run_file.sections.simulate.has_value(), "simulate");
              simulate(run_file, open_run_directory(run_file, session.world), session);
            };
          }};
}

}  // namespace zonda::app
