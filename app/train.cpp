#include "model/training/train.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/stages.hpp"
#include "core/log.hpp"

namespace zonda::app {

void train(const RunFile& run_file, const RunDirectory& directory, const Session& session, bool resume) {
  const model::TrainSummary summary =
      model::run_train(*run_file.sections.train, session.world, directory.archive(), directory.checkpoints(), resume);
  if (summary.nothing_to_do) {
    log::info("train: {} is there already", summary.model.string());
  } else {
    log::info("train: {} parameters, {} steps, loss {:.4f}, validation loss {:.4f}", summary.parameters, summary.steps,
              summary.loss, summary.validation_loss);
  }
}

Verb train_verb() {
  struct Words : RunFileWords {
    bool resume = false;
  };
  return {"train", "Archive to model", "zonda train configs/quickstart.yaml --resume",
          [](CLI::App& command, Session& session) {
            auto words = std::make_shared<Words>();
            add_run_file_words(command, *words);
            command.add_flag("--resume", words->resume, "Continue from the newest checkpoint");
            return [&session, words] {
              const RunFile run_file = load_run_file(*words);
              require_section(run_file, run_file.sections.train.has_value(), "train");
              train(run_file, open_run_directory(run_file, session.world), session, words->resume);
            };
          }};
}

}  // namespace zonda::app
