#include "postproc/maps/field_style.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"

namespace zonda::postproc {
namespace {

constexpr double to_metres = 1 / constants::gravity;

bool is_wind_vector(const std::string& name) {
  return name.ends_with("wind");
}

/// "10 m wind" from 10wind, "wind" from wind.
std::string wind_title(const std::string& name) {
  const std::string height = name.substr(0, name.size() - 4);
  return height.empty() ? "wind" : height + " m wind";
}

std::string lower_first(std::string text) {
  if (text.size() > 1 && text[1] >= 'a' && text[1] <= 'z') text[0] = static_cast<char>(std::tolower(text[0]));
  return text;
}

std::string with_level(const Channel& channel, const std::string& what) {
  return channel.level_hpa > 0 ? fmt::format("{} hPa {}", channel.level_hpa, lower_first(what)) : what;
}

/// "m s-1" -> "m/s", "kg kg-1" stays.
std::string plain_unit(const std::string& unit) {
  if (unit == "m s-1") return "m/s";
  if (unit == "m2 s-2") return "m²/s²";
  if (unit == "Pa s-1") return "Pa/s";
  if (unit == "J m-2") return "J/m²";
  if (unit == "J kg-1") return "J/kg";
  if (unit == "kg m-2") return "kg/m²";
  if (unit == "1" || unit.empty()) return "";
  return unit;
}

}  // namespace

FieldStyle field_style(const Channel& channel) {
  const std::string& name = channel.variable;
  FieldStyle style;
  if (is_wind_vector(name)) {
    std::string title = wind_title(name) + " speed";
    title[0] = static_cast<char>(std::toupper(title[0]));
    return {.title = with_level(channel, title), .unit = "m/s", .colours = "wind", .from_zero = true};
  }
  const Variable* info = find_variable(name);
  if (info == nullptr) return {.title = channel.name(), .unit = "", .colours = "temperature"};
  style.title = with_level(channel, info->long_name);
  style.unit = plain_unit(info->unit);
  style.colours = "temperature";
  if (name == "z") {
    style.title = with_level(channel, "Geopotential height");
    style.unit = "dam";
    style.scale = to_metres / 10;
    style.colours = "geopotential";
    // 6 dam at 500 hPa and 12 dam aloft, as on ECMWF's and the NWS's charts; 3 dam near the ground.
    style.contour_interval = channel.level_hpa >= 700 ? 3 : channel.level_hpa >= 400 ? 6 : 12;
  } else if (name == "t" || name == "2t" || name == "2d" || name == "skt" || name == "sst") {
    style.unit = "°C";
    style.offset = -273.15;
    style.contour_interval = name == "t" ? 4 : 0;
  } else if (name == "msl") {
    style.unit = "hPa";
    style.scale = 0.01;
    style.colours = "pressure";
    style.contour_interval = 4;
  } else if (name == "sp") {
    style.unit = "hPa";
    style.scale = 0.01;
    style.colours = "pressure";
  } else if (name == "q") {
    style.unit = "g/kg";
    style.scale = 1000;
    style.colours = "moisture";
  } else if (name == "r" || name == "tcwv") {
    style.colours = "moisture";
    style.from_zero = true;
  } else if (name == "tp") {
    style.unit = "mm";
    style.scale = 1000;
    style.colours = "precipitation";
    style.levels = {0.1, 0.5, 1, 2, 5, 10, 15, 20, 30, 40, 50, 75, 100};
    style.smooth = false;
  } else if (name == "tcc") {
    style.unit = "%";
    style.scale = 100;
    style.colours = "cloud";
    style.levels = {0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100};
    style.smooth = false;
  } else if (name == "orog") {
    style.title = "Orography";
    style.unit = "m";
    style.scale = to_metres;
    style.colours = "geopotential";
  } else if (!info->vector_partner.empty() || name == "w" || name == "vo" || name == "d") {
    style.colours = "diverging";
    style.symmetric = true;
  }
  return style;
}

FieldStyle error_style(const Channel& channel) {
  FieldStyle style = field_style(channel);
  style.title += " error";
  style.offset = 0;
  const ScoreUnit unit = score_unit(channel);
  style.unit = unit.unit;
  style.scale = unit.scale;
  style.colours = "diverging";
  style.contour_interval = 0;
  style.levels.clear();
  style.from_zero = false;
  style.symmetric = true;
  return style;
}

ScoreUnit score_unit(const Channel& channel) {
  const FieldStyle style = field_style(channel);
  if (channel.variable == "z") return {"m", to_metres};
  return {style.unit == "°C" ? "K" : style.unit, style.scale};
}

std::string channel_title(const Channel& channel) {
  if (is_wind_vector(channel.variable)) {
    const std::string title = wind_title(channel.variable);
    return channel.level_hpa > 0 ? fmt::format("{} {} hPa", title, channel.level_hpa) : title;
  }
  return channel.name();
}

std::vector<double> shading_levels(const FieldStyle& style, Range range) {
  if (!style.levels.empty()) return style.levels;
  if (style.symmetric) {
    const double most = std::max(std::abs(range.minimum), std::abs(range.maximum));
    const double step = nice_step(most > 0 ? most : 1, 10);
    // Zero lies in the middle of the white band.
    const auto half = static_cast<int>(std::ceil((most > 0 ? most : 1) / step - 1e-6));
    std::vector<double> levels;
    for (int i = -half; i <= half; ++i)
      if (i != 0) levels.push_back(i * step);
    return levels;
  }
  const double minimum = style.from_zero ? 0 : range.minimum;
  const double span = range.maximum - minimum;
  double step = nice_step(span > 0 ? span : 1, 16);
  // Shading in step with the isolines, so that both show the same numbers.
  if (style.contour_interval > 0) {
    step = style.contour_interval;
    while (span / step > 18) step *= 2;
    while (span / step < 6) step /= 2;
  }
  return covering_levels(minimum, range.maximum, step);
}

}  // namespace zonda::postproc
