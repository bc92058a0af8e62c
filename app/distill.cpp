#include "model/training/distillation/distill.hpp"

#include <CLI/CLI.hpp>

#include "app/stages.hpp"
#include "core/log.hpp"

namespace zonda::app {
namespace {

model::DistillSummary distilled(const RunFile& run_file, const RunDirectory& directory, const Session& session,
                                bool resume) {
  const model::DistillConfig& config = *run_file.sections.distill;
  const auto teacher = config.teacher ? std::filesystem::path(*config.teacher) : directory.model();
  const auto archive = config.archive ? std::filesystem::path(*config.archive) : directory.archive();
  model::DistillSummary summary =
      model::run_distill(config, session.world, teacher, archive, directory.distilled(), resume);
  if (session.speaks())
    log::info("distill: {} parameters, {:.1f} times fewer than the teacher's, {} steps{}", summary.student_parameters,
              static_cast<double>(summary.teacher_parameters) / static_cast<double>(summary.student_parameters),
              summary.steps, summary.nothing_to_do ? ", there already" : "");
  return summary;
}

}  // namespace

void distill(const RunFile& run_file, const RunDirectory& directory, const Session& session, bool resume) {
  const model::DistillSummary summary = distilled(run_file, directory, session, resume);
  if (session.speaks()) log::info("distill:\n{}", summary.table);
}

Verb distill_verb() {
  struct Words : RunFileWords {
    bool resume = false;
  };
  return {"distill", "A trained model to a small regional one, judged against it",
          "zonda distill configs/edge-europe.yaml --resume", [](CLI::App& command, Session& session) {
            auto words = std::make_shared<Words>();
            add_run_file_words(command, *words);
            command.add_flag("--resume", words->resume, "Continue from the newest checkpoint");
            return [&session, words] {
              const RunFile run_file = load_run_file(*words);
              require_section(run_file, run_file.sections.distill.has_value(), "distill");
              const RunDirectory directory = open_run_directory(run_file, session.world);
              const model::DistillSummary summary = distilled(run_file, directory, session, words->resume);
              if (!session.json) return print_result(session, summary.table);
              nlohmann::json result{{"model", summary.model.string()}, {"acceptance", summary.acceptance}};
              if (!summary.int8.is_null()) result["int8"] = summary.int8;
              print_result(session, result.dump(1));
            };
          }};
}

}  // namespace zonda::app
