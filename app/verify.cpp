#include "postproc/verification/verify.hpp"

#include <CLI/CLI.hpp>

#include "app/stages.hpp"
#include "core/atomic_file.hpp"
#include "core/log.hpp"
#include "postproc/report/headline.hpp"

namespace zonda::app {

void verify(const RunFile& run_file, const RunDirectory& directory, const Session& session) {
  const postproc::VerifySummary summary = postproc::run_verify(
      *run_file.sections.verify, session.world, directory.archive(), directory.forecast(), directory.root);
  log::info("verify: {} initial times, {} pairs of forecast and truth, {} without truth; climatology: {}",
            summary.initial_times, summary.pairs, summary.missing_pairs, summary.climatology);
}

void report(const RunFile& run_file, const RunDirectory& directory, const Session& session) {
  if (session.speaks()) postproc::write_report(*run_file.sections.report, directory.root);
  session.world.barrier();
}

void print_headline(const RunFile&, const RunDirectory& directory, const Session& session) {
  if (!session.speaks()) return;
  if (session.json) return print_result(session, read_file(directory.root / "scores.json"));
  const postproc::ScoreTable scores = postproc::ScoreTable::read(directory.root / "scores.json");
  print_result(session, postproc::headline_table(scores));
}

Verb verify_verb() {
  return {"verify", "Forecasts to scores, against persistence and climatology",
          "zonda verify configs/quickstart.yaml --json", [](CLI::App& command, Session& session) {
            auto words = std::make_shared<RunFileWords>();
            add_run_file_words(command, *words);
            return [&session, words] {
              const RunFile run_file = load_run_file(*words);
              require_section(run_file, run_file.sections.verify.has_value(), "verify");
              const RunDirectory directory = open_run_directory(run_file, session.world);
              verify(run_file, directory, session);
              if (run_file.sections.report) report(run_file, directory, session);
              print_headline(run_file, directory, session);
            };
          }};
}

}  // namespace zonda::app
