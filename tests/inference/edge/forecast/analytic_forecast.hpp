#pragma once
// A forecast whose every value is known: linear in latitude, longitude and lead.
#include "inference/edge/forecast/regional_forecast.hpp"

namespace zonda::test {

inline double analytic_value(std::size_t channel, double latitude, double longitude, double lead_hours) {
  return 10.0 * static_cast<double>(channel + 1) + 0.5 * latitude - 0.25 * longitude + 0.125 * lead_hours;
}

inline edge::RegionalForecast analytic_forecast(std::vector<std::string> names = {"z500", "t850", "u850", "v850",
                                                                                  "q850", "2t", "10u", "10v", "msl"},
                                                const Grid& grid = Grid::regional(60, 30, 13, 340, 30, 11),
                                                int leads = 5) {
  edge::RegionalForecast forecast(grid);
  for (const std::string& name : names) forecast.channels.push_back(parse_channel(name));
  forecast.initial = parse_time("2026-01-10T06");
  for (int k = 0; k < leads; ++k) forecast.leads.push_back(Duration(k * 6 * 3600));
  forecast.model = "europe 3";
  forecast.feed = "europe 2026011006";
  forecast.level = 1;
  forecast.level_skill = 1.02;
  forecast.computed = parse_time("2026-01-10T06:20");
  std::vector<float> values;
  for (int k = 0; k < leads; ++k) {
    for (std::size_t c = 0; c < names.size(); ++c) {
      for (const double latitude : grid.latitudes()) {
        for (std::size_t j = 0; j < grid.nlon(); ++j) {
          const double longitude = grid.longitudes()[0] + static_cast<double>(j) * grid.longitude_step();
          values.push_back(static_cast<float>(analytic_value(c, latitude, longitude, k * 6.0)));
        }
      }
    }
  }
  forecast.values = edge::ForecastValues(std::move(values));
  return forecast;
}

}  // namespace zonda::test
