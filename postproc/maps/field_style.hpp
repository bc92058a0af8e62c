#pragma once
// How a variable is shown: unit, colours and contour intervals forecasters know.
#include <string>
#include <vector>

#include "core/variables.hpp"
#include "postproc/maps/nice_scale.hpp"

namespace zonda::postproc {

struct FieldStyle {
  std::string title;                    ///< "500 hPa geopotential height"
  std::string unit;                     ///< as shown: dam, °C, m/s, mm, hPa, g/kg
  double scale = 1, offset = 0;         ///< shown = value * scale + offset
  std::string colours = "temperature";  ///< name of a colour table
  double contour_interval = 0;          ///< isolines, in the shown unit; 0 = none
  std::vector<double> levels = {};      ///< fixed shading levels; empty = round ones by the data's range
  bool from_zero = false;               ///< shading starts at 0 (wind speed, precipitation)
  bool symmetric = false;               ///< levels are symmetric about 0 (errors)
  bool smooth = true;                   ///< cubic interpolation between points, else linear
};

/// Of a channel; names `wind`, `10wind` (see wind_vector_name) give speed.
FieldStyle field_style(const Channel& channel);
/// Of differences of it: no offset, diverging colours, the unit of scores.
FieldStyle error_style(const Channel& channel);
/// "m", "K" ...: the unit a score such as RMSE is shown in, and the factor from SI. Geopotential's are metres.
struct ScoreUnit {
  std::string unit;
  double scale;
};
ScoreUnit score_unit(const Channel& channel);
/// "z500", "10 m wind" ...: for axes and tables.
std::string channel_title(const Channel& channel);

/// Shading levels for values (already in the shown unit): the style's own, or about a dozen round ones that cover the
/// range.
std::vector<double> shading_levels(const FieldStyle& style, Range range);

}  // namespace zonda::postproc
