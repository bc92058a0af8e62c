#pragma once
#include <string>
#include <vector>

namespace zonda::edge {

/// What the correction makes of a forecast at the station, for one variable that it measures.
struct CorrectedSeries {
  std::string observed;             ///< what the sensor measures: 2t
  std::string quantity;             ///< what of the forecast it corrects: 2t, t1000
  std::string unit;                 ///< SI
  std::vector<double> forecast;     ///< [lead], as the model has it at the station
  std::vector<double> corrected;    ///< [lead]
  std::vector<double> uncertainty;  ///< [lead], standard deviation of what remains; NaN before enough was learnt
};

}  // namespace zonda::edge
