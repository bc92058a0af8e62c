#pragma once
// Maps as PNG: shaded fields with isolines, coastlines, graticule and a labelled colour bar; several on one sheet.
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "postproc/maps/field_style.hpp"
#include "postproc/maps/projection.hpp"

namespace zonda::postproc {

struct MapPanel {
  std::string title;  ///< "Forecast"
  std::string note;   ///< small, at the right: "RMSE 12.3 m"
  Grid grid;
  std::vector<float> field;  ///< [lat, lon], SI; missing values as NaN stay white
  FieldStyle style;
  std::vector<double> levels;  ///< shading, in the shown unit; empty = by the field's own range
  std::vector<float>
      isolines;            ///< a field `[lat, lon]` whose isolines are drawn instead of the shaded one's; may be empty
  bool coastlines = true;  ///< off for idealised planets
};

struct MapSheet {
  std::string title;     ///< "500 hPa geopotential height"
  std::string subtitle;  ///< "initial 2018-10-10 18 UTC, valid 2018-10-11 18 UTC, lead 24 h"
  std::string footer = {};
  std::size_t columns = 1;
  double panel_width = 620;  ///< points
  double scale = 1.6;        ///< pixels a point
  ProjectionOptions projection = {};
};

/// Deterministic bytes. Throws Error(usage) if a field does not fit its grid, Error(failure) if the file cannot be
/// written.
void draw_maps(const MapSheet& sheet, std::span<const MapPanel> panels, const std::filesystem::path& png);

/// One field of one channel with that channel's style.
void draw_map(const Grid& grid, std::span<const float> field, const Channel& channel, const std::string& subtitle,
              const std::filesystem::path& png);

/// Levels that fit several fields at once (forecast and truth share theirs); the extreme 0.1 % may lie outside.
std::vector<double> shared_levels(const FieldStyle& style, std::span<const std::span<const float>> fields);

/// "2018-10-11 18 UTC"
std::string title_time(Time time);

}  // namespace zonda::postproc
