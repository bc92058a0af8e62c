#pragma once
// A network small enough for tests, with open gates and random weights, and a state for it.
#include <cmath>

#include "../../model/engine/network_sample.hpp"
#include "assimilation/atmosphere/network_model.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {

/// Heights, temperature, wind, humidity and rain, which is no part of the state. Steps change little: `tendency` of a
/// standard deviation in 6 h.
inline model::ForecastLayout small_layout(const Grid& grid = Grid::latlon(8, 12, false), double tendency = 0.3) {
  model::ForecastLayout layout{.grid = grid,
                               .channels = {{"z", 500}, {"t", 850}, {"tp", 0}, {"u", 850}, {"v", 850}, {"q", 850}},
                               .static_channels = {{"orog", 0}},
                               .static_fields = {},
                               .forcings = {"insolation", "cos_local_time"},
                               .steps = {std::chrono::hours(6), std::chrono::hours(12)},
                               .target = model::Target::tendency,
                               .normalisation = {},
                               .trained_lead = Duration{0}};
  for (std::size_t i = 0; i < grid.size(); ++i) layout.static_fields.push_back(static_cast<float>(700 * (i % 5)));
  layout.normalisation.mean = {54000, 280, 1e-3, 3, 0, 6e-3};
  layout.normalisation.stddev = {2000, 12, 2e-3, 8, 7, 3e-3};
  for (const Duration step : layout.steps) {
    std::vector<double>& deviations = layout.normalisation.tendency_stddev[step];
    for (const double deviation : layout.normalisation.stddev) deviations.push_back(tendency * deviation);
  }
  return layout;
}

inline model::NetworkConfig small_network_config() {
  model::NetworkConfig config = model::testing::smallest_network();
  config.blocks = 2;
  return config;
}

inline NetworkMaker maker(const model::ForecastLayout& layout, const model::NetworkConfig& config, model::DType dtype,
                          double weights = 0.1, const model::Sharding& sharding = {}) {
  return [=] {
    auto network = std::make_unique<model::ForecastNetwork>(
        config, layout.grid, static_cast<int>(layout.input_channels()), static_cast<int>(layout.output_channels()),
        static_cast<int>(model::ForecastLayout::condition_size), dtype, nullptr, model::input_levels(layout), sharding);
    model::testing::randomise(network->parameters(), weights);
    return network;
  };
}

/// Standard deviations of the state's components.
inline Vector deviations(const AtmosphereModel& network, const model::ForecastLayout& layout) {
  Vector result;
  for (std::size_t slot = 0; slot < network.layout.slots; ++slot)
    for (std::size_t c = 0; c < layout.channels.size(); ++c)
      if (!layout.channels[c].info().accumulated)
        result.insert(result.end(), layout.points(), layout.normalisation.stddev[c]);
  return result;
}

/// Smooth, and half a standard deviation about the mean.
inline Vector network_state(const AtmosphereModel& network, const model::ForecastLayout& layout,
                            std::uint64_t stream = 0) {
  const Vector units = deviations(network, layout), phases = random_vector(units.size() / layout.points(), stream, 3);
  Vector state(units.size());
  std::size_t field = 0;
  for (std::size_t slot = 0; slot < network.layout.slots; ++slot)
    for (std::size_t c = 0; c < layout.channels.size(); ++c) {
      if (layout.channels[c].info().accumulated) continue;
      for (std::size_t i = 0; i < layout.points(); ++i) {
        const double east = 6.2831853 * static_cast<double>(i % layout.grid.nlon()) / double(layout.grid.nlon());
        const std::size_t at = field * layout.points() + i;
        state[at] = layout.normalisation.mean[c] +
                    0.5 * units[at] * std::sin(east + phases[field] + static_cast<double>(i / layout.grid.nlon()));
      }
      ++field;
    }
  return state;
}

}  // namespace zonda::assimilation
