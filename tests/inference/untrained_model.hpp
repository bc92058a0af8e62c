#pragma once
// A model with random weights, for tests of what is done with a model.
#include <memory>
#include <optional>

#include "core/philox.hpp"
#include "model/forecast_state/forecast_model.hpp"

namespace zonda::inference {

/// On the channels z500, t850 (and `winds`, if asked) and a 8x16 grid. The weights are moved away from the start, which
/// is the identity.
inline std::unique_ptr<model::ForecastModel> untrained_model(std::vector<Duration> steps,
                                                             std::optional<model::LoraConfig> adapters = {},
                                                             int noise_size = 0,
                                                             const std::vector<Channel>& winds = {}) {
  std::vector<Channel> channels{{"z", 500}, {"t", 850}};
  channels.insert(channels.end(), winds.begin(), winds.end());
  model::ForecastLayout layout{.grid = Grid::latlon(8, 16, false),
                               .channels = channels,
                               .static_channels = {{"orog", 0}},
                               .static_fields = {},
                               .forcings = {"cos_local_time"},
                               .steps = steps,
                               .target = model::Target::tendency,
                               .normalisation = {.mean = {54000, 280}, .stddev = {2000, 10}, .tendency_stddev = {}},
                               .trained_lead = Duration{0}};
  for (const Duration step : steps) layout.normalisation.tendency_stddev[step] = {600, 3};
  for (std::size_t i = 0; i < winds.size(); ++i) {
    layout.normalisation.mean.push_back(1);
    layout.normalisation.stddev.push_back(12);
    for (auto& [step, deviation] : layout.normalisation.tendency_stddev) deviation.push_back(4);
  }
  layout.static_fields.resize(layout.points());
  for (std::size_t i = 0; i < layout.points(); ++i) layout.static_fields[i] = static_cast<float>(100 * (i % 7));
  model::NetworkConfig config;
  config.preset = "tiny";
  config.width = 16;
  config.heads = 2;
  config.blocks = 2;
  config.lora = std::move(adapters);
  config.noise = noise_size;
  model::ModelOrigin origin;
  origin.training_steps = 1;
  origin.training_start = parse_time("2000-01-01");
  origin.training_end = parse_time("2001-01-01");
  origin.archive_identity = "none";
  origin.configuration_hash = "none";
  origin.licence = "Apache-2.0";
  auto made = std::make_unique<model::ForecastModel>(model::ForecastModel{
      .layout = layout,
      .network = model::ForecastNetwork(config, layout.grid, static_cast<int>(layout.input_channels()),
                                        static_cast<int>(layout.output_channels()),
                                        static_cast<int>(model::ForecastLayout::condition_size)),
      .origin = std::move(origin),
      .identity = "test"});
  made->network.initialise(7);
  const model::ParameterStore& store = made->network.parameters();
  const Philox noise(5, "weights");
  for (const model::Parameter& parameter : store.list())
    for (std::int64_t i = parameter.offset; i < parameter.offset + parameter.count; ++i)
      store.values().as<float>()[i] += static_cast<float>(0.03 * noise.normal(static_cast<std::uint64_t>(i)));
  return made;
}

}  // namespace zonda::inference
