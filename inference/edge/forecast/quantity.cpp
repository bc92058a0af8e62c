#include "inference/edge/forecast/quantity.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/humidity.hpp"

namespace zonda::edge {
namespace {

std::string at_level(const std::string& name, int level_hpa) {
  return level_hpa == 0 ? name : name + std::to_string(level_hpa);
}
std::string on_level(const std::string& title, int level_hpa) {
  return level_hpa == 0 ? title : title + " at " + std::to_string(level_hpa) + " hPa";
}

struct WindNames {
  const char *eastward, *northward, *speed, *direction, *title;
};
constexpr WindNames winds[] = {{"u", "v", "ws", "wdir", "Wind"},
                               {"10u", "10v", "10si", "10wdir", "10 m wind"},
                               {"100u", "100v", "100si", "100wdir", "100 m wind"}};

}  // namespace

double Quantity::evaluate(std::span<const double> in) const {
  switch (formula) {
    case Formula::channel:
      return in[0];
    case Formula::wind_speed:
      return std::hypot(in[0], in[1]);
    case Formula::wind_from_direction: {
      const double degrees = std::atan2(-in[0], -in[1]) * (180 / constants::pi);
      return degrees < 0 ? degrees + 360 : degrees;
    }
    case Formula::geopotential_height:
      return in[0] / constants::gravity;
    case Formula::relative_humidity:
      break;
  }
  const double vapour = vapour_pressure(std::max(in[0], 0.0), level_hpa * 100.0);
  return 100 * vapour / saturation_vapour_pressure(in[1]);
}

std::vector<Quantity> quantities_of(std::span<const Channel> channels) {
  std::vector<Quantity> all;
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const Variable& info = channels[c].info();
    all.push_back({channels[c].name(),
                   info.standard_name,
                   on_level(info.long_name, channels[c].level_hpa),
                   info.unit,
                   channels[c].level_hpa,
                   Formula::channel,
                   {c}});
  }
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const auto& [variable, level] = channels[c];
    for (const WindNames& wind : winds) {
      if (variable != wind.eastward) continue;
      const auto partner = find_channel(channels, {wind.northward, level});
      if (!partner) continue;
      all.push_back({at_level(wind.speed, level),
                     "wind_speed",
                     on_level(std::string(wind.title) + " speed", level),
                     "m s-1",
                     level,
                     Formula::wind_speed,
                     {c, *partner}});
      all.push_back({at_level(wind.direction, level),
                     "wind_from_direction",
                     on_level(std::string(wind.title) + " direction", level),
                     "degree",
                     level,
                     Formula::wind_from_direction,
                     {c, *partner}});
    }
    if (variable == "z") {
      all.push_back({at_level("gh", level),
                     "geopotential_height",
                     on_level("Geopotential height", level),
                     "m",
                     level,
                     Formula::geopotential_height,
                     {c}});
    }
    if (variable == "q" && !find_channel(channels, {"r", level})) {
      if (const auto temperature = find_channel(channels, {"t", level})) {
        all.push_back({at_level("r", level),
                       "relative_humidity",
                       on_level("Relative humidity", level),
                       "%",
                       level,
                       Formula::relative_humidity,
                       {c, *temperature}});
      }
    }
  }
  return all;
}

const Quantity& find_quantity(std::span<const Quantity> quantities, std::string_view name) {
  std::vector<std::string> known;
  for (const Quantity& quantity : quantities) {
    if (quantity.name == name) return quantity;
    known.push_back(quantity.name);
  }
  throw Error(ErrorKind::usage, unknown_word("variable", name, known));
}

std::vector<double> point_series(const RegionalForecast& forecast, const Quantity& quantity,
                                 const PointWeights& point) {
  std::vector<double> series;
  std::array<double, 2> inputs{};
  for (std::size_t k = 0; k < forecast.leads.size(); ++k) {
    for (std::size_t i = 0; i < quantity.channels.size(); ++i)
      inputs[i] = point.at(forecast.field(k, quantity.channels[i]));
    series.push_back(quantity.evaluate(inputs));
  }
  return series;
}

std::vector<float> quantity_field(const RegionalForecast& forecast, const Quantity& quantity, std::size_t lead) {
  std::vector<float> field(forecast.grid.size());
  std::array<double, 2> inputs{};
  for (std::size_t cell = 0; cell < field.size(); ++cell) {
    for (std::size_t i = 0; i < quantity.channels.size(); ++i)
      inputs[i] = static_cast<double>(forecast.field(lead, quantity.channels[i])[cell]);
    field[cell] = static_cast<float>(quantity.evaluate(inputs));
  }
  return field;
}

}  // namespace zonda::edge
