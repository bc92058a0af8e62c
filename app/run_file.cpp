#include "app/run_file.hpp"

#include <CLI/CLI.hpp>

#include "app/contradictions.hpp"
#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace zonda::app {

void describe(config::Table& table, RunSection& section) {
  table.key("directory", section.directory, "Where the run keeps its files; default runs/<name>");
}

void describe(config::Table& table, Sections& sections) {
  table.key("name", sections.name, "Name of the run; default: the file's name");
  table.key("description", sections.description, "One line for the report");
  table.section("run", sections.run, "The run itself");
  table.section("simulate", sections.simulate, "Stage: the embedded atmosphere writes NetCDF files");
  table.section("ingest", sections.ingest, "Stage: sources to archive");
  table.section("train", sections.train, "Stage: archive to model");
  table.section("distill", sections.distill, "Stage: a trained model to a small regional one");
  table.section("cycle", sections.cycle, "Stage: observations to analyses, cycle by cycle");
  table.section("forecast", sections.forecast, "Stage: model to CF NetCDF forecasts");
  table.section("verify", sections.verify, "Stage: forecasts to scores");
  table.section("report", sections.report, "Stage: pictures and index.html");
  table.section("plan", sections.plan, "No stage: a network whose cost `zonda plan` prints, without any data");
  check_contradictions(table, sections);
  table.check("ingest", [&sections]() -> std::string {
    if (sections.ingest && sections.ingest->sources.empty() && !sections.simulate) {
      return "no sources: give ingest.sources, or a section simulate to read from";
    }
    return "";
  });
}

void add_run_file_words(CLI::App& command, RunFileWords& words) {
  command.add_option("FILE", words.path, "Run file (YAML)")->required();
  command.add_option("OVERRIDE", words.overrides, "key.path=value, over what the file says");
}

std::filesystem::path RunFile::directory() const {
  if (sections.run.directory) return *sections.run.directory;
  return std::filesystem::path("runs") / sections.name;
}

std::vector<std::string> RunFile::stages() const {
  std::vector<std::string> names;
  if (sections.simulate) names.emplace_back("simulate");
  if (sections.ingest) names.emplace_back("ingest");
  if (sections.train) names.emplace_back("train");
  if (sections.distill) names.emplace_back("distill");
  if (sections.cycle) names.emplace_back("cycle");
  if (sections.forecast) names.emplace_back("forecast");
  if (sections.verify) names.emplace_back("verify");
  if (sections.report) names.emplace_back("report");
  return names;
}

std::map<std::string, std::uint64_t> RunFile::seeds() const {
  std::map<std::string, std::uint64_t> seeds;
  if (sections.simulate) seeds["simulate"] = sections.simulate->seed;
  if (sections.train) seeds["train"] = sections.train->seed;
  if (sections.distill) seeds["distill"] = sections.distill->seed;
  if (sections.cycle && sections.cycle->seed()) seeds["cycle"] = *sections.cycle->seed();
  return seeds;
}

RunFile load_run_file(const RunFileWords& words) {
  RunFile run_file;
  run_file.path = words.path;
  run_file.overrides = words.overrides;
  config::Node document = config::read_yaml(words.path);
  run_file.text = read_file(words.path);
  config::apply_environment(document);
  for (const std::string& assignment : words.overrides) config::apply_override(document, assignment);
  run_file.sections.name = words.path.stem().string();
  config::read(document, run_file.sections);
  if (run_file.stages().empty() && !(words.plan_suffices && run_file.sections.plan)) {
    fail(ErrorKind::usage,
         "{}: no stage; expected at least one of the sections simulate, ingest, train, distill, cycle, forecast, "
         "verify, report",
         words.path.string());
  }
  // What a stage takes from the one before it, unless the file says otherwise.
  if (run_file.sections.ingest && run_file.sections.ingest->sources.empty()) {
    ingest::SourceConfig simulated;
    simulated.path = {(run_file.directory() / "simulation" / "*.nc").string()};
    run_file.sections.ingest->sources.push_back(simulated);
  }
  return run_file;
}

void require_section(const RunFile& run_file, bool present, const std::string& section) {
  if (!present)
    fail(ErrorKind::usage, "{}: the section '{}' is missing; this verb needs it", run_file.path.string(), section);
}

config::Json run_file_schema() {
  Sections sections;
  config::Table table;
  describe(table, sections);
  config::Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "Zonda run file"}};
  schema.update(table.schema());
  return schema;
}

std::string reference_page() {
  Sections sections;
  config::Table table;
  describe(table, sections);
  return "# Configuration reference\n\n"
         "Made by `zonda schema --markdown` from the table that reads run files. Order of precedence: default, run "
         "file, environment\n"
         "(`ZONDA_TRAIN__STEPS=200` for `train.steps`), command line (`train.steps=200`). Durations: `6h`, `30min`, "
         "`10d`, `PT6H`. Dates: ISO\n"
         "8601 in UTC. Unknown and duplicate keys are errors; `010` is not a number.\n\n"
         "| key | type | default | meaning |\n|---|---|---|---|\n" +
         table.reference();
}

}  // namespace zonda::app
