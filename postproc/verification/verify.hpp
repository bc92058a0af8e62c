#pragma once
// The stage `verify`: forecasts against the archive, with persistence and climatology beside them.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "postproc/verification/scoring.hpp"

namespace zonda::config {
class Table;
}

namespace zonda::postproc {

struct VerifyConfig {
  std::optional<Time> first, last;    ///< initial times taken; default all
  std::vector<Duration> leads;        ///< default: all but 0 that the forecasts hold
  std::vector<std::string> regions;   ///< default: all, with land variants where the archive holds a land-sea mask
  std::vector<std::string> metrics;   ///< default: all
  std::vector<std::string> channels;  ///< default: all that forecasts and archive share
  std::vector<std::string> spectra;   ///< channels; default: z500, t850, q700, 10u of those there are
  std::string mesh;                   ///< how ranks share the work; default: all on initial times
  std::optional<Time> climatology_first, climatology_last;  ///< default: the archive's training period
};
void describe(config::Table& table, VerifyConfig& config);

struct VerifySummary {
  ScoreTable scores;
  std::size_t initial_times = 0, members = 1;
  std::size_t pairs = 0;          ///< initial time and lead that counted
  std::size_t missing_pairs = 0;  ///< left out: the forecast or the archive lacks the valid time
  std::string climatology;        ///< what it is (ClimatologyDefinition::text)
};

/// Reads `archive_dir` and `forecast_dir`/*.nc and writes into `run_dir`: scores.json, scores.csv, spectra.json,
/// rank_histograms.json (of ensembles), verification.json (what was verified: periods, samples a lead, the climatology
/// used) and climatology.bin (the fit, taken up again where it still holds). Collective; the files' bytes do not depend
/// on the number of ranks. Throws Error(data): grids differ (both named), no forecast in the period, no truth for any
/// valid time, missing values; Error(usage): unknown channel, region, metric or lead.
VerifySummary run_verify(const VerifyConfig& config, const parallel::Communicator& communicator,
                         const std::filesystem::path& archive_dir, const std::filesystem::path& forecast_dir,
                         const std::filesystem::path& run_dir);

/// The same on data at hand.
VerifySummary verify(const VerifyConfig& config, const parallel::Communicator& communicator, const FieldSeries& truth,
                     std::vector<ForecastStart> starts,
                     const std::function<std::unique_ptr<ingest::Source>(const std::filesystem::path&)>& open,
                     const std::filesystem::path& run_dir);

}  // namespace zonda::postproc
