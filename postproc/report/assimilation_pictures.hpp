#pragma once
// Pictures of a cycle of analyses.
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace zonda::postproc {

/// What a cycle left: its summary and its records.
struct CycledAnalysis {
  std::string name, method;
  std::shared_ptr<const nlohmann::ordered_json> summary;
  std::shared_ptr<const std::vector<nlohmann::ordered_json>> records;
};

/// Error of background and analysis by time, a chart a channel.
void draw_cycle_errors(const std::vector<CycledAnalysis>& analyses, const std::vector<std::string>& channels,
                       const std::filesystem::path& png);
/// Spread and error of one analysis by time, and its rank histograms, for each channel. False where there is no truth.
bool draw_cycle_ensemble(const CycledAnalysis& analysis, const std::vector<std::string>& channels,
                         const std::filesystem::path& png);
/// By level for each variable: root mean square departures from background and analysis, and the errors they tell.
bool draw_departures(const CycledAnalysis& analysis, const std::filesystem::path& png);
/// Power in the tail of the spectrum over that at the start, by time.
void draw_spectrum_drift(const std::vector<CycledAnalysis>& analyses, const std::vector<std::string>& channels,
                         const std::filesystem::path& png);
/// The cost function by iteration, of the last cycles. False where no analysis has one.
bool draw_costs(const std::vector<CycledAnalysis>& analyses, const std::filesystem::path& png);
/// Error of forecasts from analyses by lead. False where none were launched.
bool draw_launched_forecasts(const std::vector<CycledAnalysis>& analyses, const std::vector<std::string>& channels,
                             const std::filesystem::path& png);
/// Root mean square background departure of each station of one variable, on a map.
bool draw_stations(const CycledAnalysis& analysis, const std::string& variable, bool coastlines,
                   const std::filesystem::path& png);
/// By level for each kind and variable: how much an observation lowers the forecast's error. False where no impacts are
/// known.
bool draw_impacts(const CycledAnalysis& analysis, const std::filesystem::path& png);
/// How much each station lowers the forecast's error in an analysis, on a map.
bool draw_impacts_of_stations(const CycledAnalysis& analysis, bool coastlines, const std::filesystem::path& png);
/// Analysis, and analysis minus background, of the last cycle. False where their files are not there.
bool draw_increments(const std::filesystem::path& folder, const std::string& channel, bool coastlines,
                     const std::filesystem::path& png);

}  // namespace zonda::postproc
