#pragma once
// The report's pictures, each out of the files of a run directory.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "postproc/verification/forecast_list.hpp"
#include "postproc/verification/score_record.hpp"

namespace zonda::postproc {

class FieldSeries;

/// RMSE and ACC of the channels by lead, with persistence and climatology.
void draw_score_curves(const ScoreTable& scores, const std::vector<Channel>& channels, const std::string& region,
                       const std::filesystem::path& png);

/// RMSE of every channel and lead against persistence (`reference`), in percent.
void draw_run_scorecard(const ScoreTable& scores, const std::string& region, const std::string& reference,
                        const std::filesystem::path& png);

/// Zonal spectra of spectra.json, forecast by lead against the truth. False if the file holds none.
bool draw_spectra(const std::filesystem::path& spectra, const std::filesystem::path& png);

/// Of an ensemble, for each channel: spread and error of the mean by lead, and the rank histograms of
/// rank_histograms.json for up to four leads, 1 being what a reliable ensemble has. False if the file holds none.
bool draw_ensemble(const ScoreTable& scores, const std::vector<Channel>& channels, const std::string& region,
                   const std::filesystem::path& histograms, const std::filesystem::path& png);

/// Forecast, truth, forecast error and persistence error of one case; wind vectors as speed. Throws Error(data) if a
/// field is missing.
void draw_case(const FieldSeries& truth, const ForecastFile& forecast, const Channel& channel, Duration lead,
               bool coastlines, const std::filesystem::path& png);

}  // namespace zonda::postproc
