#pragma once
// Line charts: scores by lead, spectra, training curves.
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "postproc/maps/canvas.hpp"

namespace zonda::postproc {

struct ChartLine {
  std::string label;
  std::vector<std::pair<double, double>>
      points;  ///< values that are not finite, or not positive on a logarithmic axis, are left out
  Colour colour = palette::forecast;
  double width = 2;
  double dash = 0;
  bool markers = false;
};

struct ChartAxis {
  std::string label;
  bool logarithmic = false;
  bool from_zero = false;
  std::optional<double> minimum = {}, maximum = {};
  double step = 0;  ///< between ticks; 0 = round by the range
};

struct Chart {
  std::string title;
  ChartAxis x, y;
  std::vector<ChartLine> lines;
};

struct ChartSheet {
  std::string title = {}, subtitle = {};
  std::size_t columns = 2;
  double chart_width = 460, chart_height = 300;
  double scale = 1.6;
};

/// Deterministic bytes. Charts without a point that can be shown say so.
void draw_charts(const ChartSheet& sheet, std::span<const Chart> charts, const std::filesystem::path& png);

/// The step between ticks of a lead-time axis in hours: 6, 12, 24, 48 ... for at most ten ticks.
double lead_step(double last_hours);

}  // namespace zonda::postproc
