#pragma once
// A run file: the stages of a run and how each is done. Read strictly, through one table (core/config/table.hpp).
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/network_plan.hpp"
#include "assimilation/cycling/cycle_section.hpp"
#include "core/config/table.hpp"
#include "inference/rollout/forecast_config.hpp"
#include "ingest/pipeline/ingest_config.hpp"
#include "model/dynamics/simulate_config.hpp"
#include "model/training/distillation/distill_config.hpp"
#include "model/training/train_config.hpp"
#include "postproc/report/report.hpp"
#include "postproc/verification/verify.hpp"

namespace CLI {
class App;
}

namespace zonda::app {

struct RunSection {
  std::optional<std::string> directory;  ///< default: runs/<name>
};

/// The sections of a run file; a section that is absent is a stage that does not run.
struct Sections {
  std::string name, description;
  RunSection run;
  std::optional<model::SimulateConfig> simulate;
  std::optional<ingest::IngestConfig> ingest;
  std::optional<model::TrainConfig> train;
  std::optional<model::DistillConfig> distill;
  std::optional<assimilation::CycleSection> cycle;
  std::optional<inference::ForecastConfig> forecast;
  std::optional<postproc::VerifyConfig> verify;
  std::optional<postproc::ReportConfig> report;
  std::optional<NetworkPlanSection> plan;  ///< no stage: for `zonda plan` alone
};
void describe(config::Table& table, RunSection& section);
void describe(config::Table& table, Sections& sections);

/// What a verb takes on its command line: `FILE [key=value ...]`.
struct RunFileWords {
  std::filesystem::path path;
  std::vector<std::string> overrides;
  bool plan_suffices = false;  ///< a file may have a section `plan` and no stage
};
void add_run_file_words(CLI::App& command, RunFileWords& words);

struct RunFile {
  std::filesystem::path path;
  std::vector<std::string> overrides;
  std::string text;  ///< as given
  Sections sections;

  std::filesystem::path directory() const;
  /// Names of the stages that are there, in order.
  std::vector<std::string> stages() const;
  std::map<std::string, std::uint64_t> seeds() const;
};

/// Default < file < ZONDA_* environment < key=value. Throws Error(usage) with all faults.
RunFile load_run_file(const RunFileWords& words);
/// Throws Error(usage) naming the file if the section is absent.
void require_section(const RunFile& run_file, bool present, const std::string& section);

config::Json run_file_schema();
/// docs/configuration.md, made from the same table.
std::string reference_page();

}  // namespace zonda::app
