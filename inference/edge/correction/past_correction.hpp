#pragma once
// The correction over forecasts and reports of the past, as the station would have made it: what it would have gained.
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "inference/edge/correction/station_correction.hpp"

namespace zonda::edge {

/// Scores of one variable over every pair of a forecast and a later accepted report.
struct CorrectionScore {
  std::string observed, unit;
  std::size_t pairs = 0;
  double bias = 0, corrected_bias = 0;  ///< mean of forecast - observation, SI
  double rmse = 0, corrected_rmse = 0;  ///< SI
};

struct PastCorrection {
  std::vector<CorrectionScore> scores;  ///< of the configuration's variables that had pairs
  ObservationReceipt receipt;
};

/// Runs in the order of their initial times: each is corrected with the reports up to then. `forecasts` are files of
/// forecast_file.hpp; one is open at a time. Afterwards `correction` has learnt from all of it. Throws Error(data) on a
/// damaged file.
PastCorrection correct_past(StationCorrection& correction, std::span<const std::filesystem::path> forecasts,
                            std::vector<SensorReport> reports);

}  // namespace zonda::edge
