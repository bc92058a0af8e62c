#include "app/workflow.hpp"

#include "core/checksum.hpp"

namespace zonda::app {
namespace {

/// Into how many shares the forecast may be cut: its initial times, where the run file alone gives them.
std::size_t initial_times(const inference::ForecastConfig& config) {
  if (config.times.empty() && !config.start) return 1;
  return inference::initial_times(config, {}, Duration{0}).size();
}

}  // namespace

const std::vector<std::string>& known_stages() {
  static const std::vector<std::string> names{"simulate", "ingest",   "train",  "distill",
                                              "cycle",    "forecast", "verify", "report"};
  return names;
}

jobs::Workflow make_workflow(const RunFile& run_file, const RunDirectory& directory, const Session& session,
                             Share share) {
  const std::map<std::string, std::function<void()>> bodies{
      {"simulate", [&] { simulate(run_file, directory, session); }},
      {"ingest", [&] { ingest(run_file, directory, session); }},
      {"train", [&] { train(run_file, directory, session, true); }},
      {"distill", [&] { distill(run_file, directory, session, true); }},
      {"cycle", [&] { cycle(run_file, directory, session, true); }},
      {"forecast", [&run_file, &directory, &session, share] { forecast(run_file, directory, session, share); }},
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
      {"distill", {directory.distilled() / "model"}},
      {"cycle", {directory.cycling() / "assimilation.json"}},
      {"forecast", {directory.forecast()}},
      {"verify", {directory.root / "scores.json"}},
      {"report", {directory.root / "index.html"}},
  };
  const Sections& sections = run_file.sections;
  const config::Json configuration = config::dump(sections);
  jobs::Workflow workflow;
  std::vector<std::string> before;
  for (const std::string& name : run_file.stages()) {
    jobs::Stage stage{name, before, sha256(configuration[name].dump()), bodies.at(name), results.at(name)};
    if (name == "simulate") stage.most_ranks = static_cast<std::size_t>(sections.simulate->members);
    if (name == "cycle") stage.most_ranks = sections.cycle->members();
    if (name == "forecast") stage.pieces = stage.most_ranks = initial_times(*sections.forecast);
    if (name == "distill" || name == "report") stage.most_ranks = 1;
    workflow.add(std::move(stage));
    before = {name};
  }
  return workflow;
}

}  // namespace zonda::app
