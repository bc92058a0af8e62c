#include "inference/rollout/forecast.hpp"

#include <CLI/CLI.hpp>

#include "app/stages.hpp"

namespace zonda::app {

void forecast(const RunFile& run_file, const RunDirectory& directory, const Session& session, Share share) {
  inference::run_forecast(*run_file.sections.forecast, session.world, directory.archive(), directory.model(),
                          directory.forecast(), share);
}

Verb forecast_verb() {
  return {"forecast", "Model to CF NetCDF forecasts", "zonda forecast configs/quickstart.yaml forecast.lead=10d",
          [](CLI::App& command, Session& session) {
            auto words = std::make_shared<RunFileWords>();
            add_run_file_words(command, *words);
            return [&session, words] {
              const RunFile run_file = load_run_file(*words);
              require_section(run_file, run_file.sections.forecast.has_value(), "forecast");
              forecast(run_file, open_run_directory(run_file, session.world), session);
            };
          }};
}

}  // namespace zonda::app
