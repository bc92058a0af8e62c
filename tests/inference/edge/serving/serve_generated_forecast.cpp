// Serves a generated winter storm over Europe until its input ends; prints the port.
// Usage: serve_generated_forecast [PORT] [STALE|DEGRADED|PROJECTED]
#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>

#include "inference/edge/forecast/point_interpolation.hpp"
#include "inference/edge/serving/station_server.hpp"

namespace {

using namespace zonda;

/// A low of 32 hPa that crosses the region from the west, with its wind in geostrophic balance and a front of colder
/// air behind it; a diurnal cycle over everything.
edge::RegionalForecast storm(const Grid& grid) {
  edge::RegionalForecast f(grid);
  for (const char* name : {"2t", "2d", "10u", "10v", "msl", "z500", "t850", "q850", "u850", "v850"})
    f.channels.push_back(parse_channel(name));
  f.initial = parse_time("2026-01-10T00");
  f.computed = parse_time("2026-01-10T04:12");
  f.model = "europe 3 sha256:5b1c0e";
  f.feed = "europe 2026-01-10T00";
  std::vector<float> values;
  for (int lead = 0; lead <= 120; lead += 3) f.leads.emplace_back(lead * 3600);
  for (const Duration lead : f.leads) {
    const double hours = static_cast<double>(lead.count()) / 3600;
    const double centre_x = -16 + 0.42 * hours, centre_y = 50 + 5 * std::sin(hours / 30);
    const std::size_t begin = values.size(), cells = grid.size();
    values.resize(begin + f.channels.size() * cells);
    for (std::size_t cell = 0; cell < cells; ++cell) {
      const double y = grid.centre(cell).latitude, x = std::remainder(grid.centre(cell).longitude, 360.0);
      const double across = std::cos(y * M_PI / 180), dx = (x - centre_x) * across, dy = y - centre_y;
      const double low = std::exp(-(dx * dx + dy * dy) / 50);
      const double local = hours + x / 15, day = -std::cos((local - 3) * M_PI / 12);
      const double cold = 1 / (1 + std::exp((dx + 0.5 * dy) / 1.2));
      const double ripple = std::sin(0.45 * x + hours / 20) * std::cos(0.5 * y - hours / 35);
      const double msl = 101600 - 3200 * low - 14 * (y - 50) * (y - 50) + 180 * ripple;
      const double t2 = 283 - 0.55 * (y - 50) - 6 * cold * (0.3 + low) + 2.2 * day + 1.1 * ripple + 2 * low;
      // Geostrophic wind of the low, two thirds of it at 10 m, turned inward.
      const double slope = 2 * 3200 * low / 50 / 111e3 / 1.2 / 1.1e-4;
      const double ug = -slope * dy + 4 + 0.1 * (y - 50), vg = slope * dx + 2 * ripple;
      const double q = 0.0041 * std::exp(0.06 * (t2 - 283)) * (1 - 0.45 * cold) * (1 + 0.25 * low);
      const double each[] = {t2,
                             t2 - 2 - 3 * cold,
                             0.62 * ug - 0.22 * vg,
                             0.62 * vg + 0.22 * ug,
                             msl,
                             9.80665 * (5560 - 9 * (y - 50) - 190 * low - 60 * cold),
                             t2 - 8 - 2.5 * cold,
                             q,
                             ug,
                             vg};
      for (std::size_t c = 0; c < f.channels.size(); ++c)
        values[begin + c * cells + cell] = static_cast<float>(each[c]);
    }
  }
  f.values = edge::ForecastValues(std::move(values));
  return f;
}

/// Land and sea of no place: waves of several lengths above a level.
std::vector<float> archipelago(const Grid& grid) {
  std::vector<float> mask;
  for (std::size_t cell = 0; cell < grid.size(); ++cell) {
    const double x = std::remainder(grid.centre(cell).longitude, 360.0) + 14, y = grid.centre(cell).latitude;
    const double height = std::sin(0.21 * x + 0.6) * std::cos(0.33 * y) + 0.5 * std::sin(0.5 * x - 0.4 * y) +
                          0.25 * std::cos(1.1 * x + 0.9 * y);
    mask.push_back(static_cast<float>(0.5 + 0.5 * std::clamp(height, -1.0, 1.0)));
  }
  return mask;
}

}  // namespace

int main(int argc, char** argv) {
  edge::ServingConfig config;
  config.port = argc > 1 ? std::stoi(argv[1]) : 0;
  const std::string condition = argc > 2 ? argv[2] : "";
  auto state = std::make_shared<edge::StationState>();
  state->station = "Lindenberg";
  state->latitude = 52.21;
  state->longitude = 14.12;
  state->elevation = 98;
  const auto forecast = std::make_shared<const edge::RegionalForecast>(storm(Grid::parse(
      condition == "PROJECTED"
          ? "projected 1300000..-1300000x53 -1600000..1600000x65 +proj=lcc +lat_1=40 +lat_2=62 +lat_0=51 +lon_0=8"
          : "regional 62..40x45 346..30x89")));
  state->forecast = forecast;
  state->feed_reach = forecast->end();
  state->coast = std::make_shared<const std::vector<edge::CoastSegment>>(
      edge::coastline(forecast->grid, archipelago(forecast->grid)));
  if (condition == "DEGRADED")
    state->faults = {"Model europe 4 failed its self-test; europe 3 serves on.",
                     "The hub has not answered for 5 hours."};
  edge::CorrectedSeries series{"2t", "2t", "K", {}, {}, {}};
  const auto place = edge::bilinear_weights(forecast->grid, state->latitude, state->longitude);
  for (std::size_t k = 0; place && k < forecast->leads.size(); ++k) {
    series.forecast.push_back(place->at(forecast->field(k, 0)));
    series.corrected.push_back(series.forecast.back() - 1.3 - 0.5 * std::sin(static_cast<double>(k)));
    series.uncertainty.push_back(k == 0 ? std::numeric_limits<double>::quiet_NaN()
                                        : 0.6 + 0.025 * static_cast<double>(k));
  }
  state->corrected.push_back(series);
  const Time now = parse_time(condition == "STALE" ? "2026-02-09T07" : "2026-01-10T07");
  edge::StationServer server(
      config, [now] { return now; },
      [](const std::vector<edge::SensorReport>& reports) {
        return edge::ObservationReceipt{reports.size(), {}};
      });
  server.publish(state);
  std::cout << server.start() << std::endl;
  while (std::cin.get() != std::char_traits<char>::eof()) continue;
  return 0;
}
