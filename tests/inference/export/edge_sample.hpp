#pragma once
// Models with random weights as folders, to be exported.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/philox.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/forecast_state/layout_network.hpp"

namespace zonda::inference {

inline std::filesystem::path fresh_folder() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string name = "zonda_" + std::string(test->test_suite_name()) + '_' + test->name();
  for (char& c : name)
    if (c == '/') c = '_';
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

struct SampleModel {
  Grid grid = Grid::regional(60, 25, 8, 350, 40, 12);
  int boundary_width = 2;  ///< 0: a global model
  std::string embedding = "channels";
  int patch = 2;
  int global_every = 0;
  std::uint64_t seed = 5;
  std::vector<double> adapter_edges{};  ///< days; none: no adapters
};

inline model::ForecastLayout sample_layout(const SampleModel& sample) {
  model::ForecastLayout layout{.grid = sample.grid,
                               .channels = {{"z", 500}, {"t", 850}},
                               .static_channels = {{"orog", 0}},
                               .static_fields = {},
                               .forcings = {"cos_local_time"},
                               .steps = {Duration{21600}},
                               .target = model::Target::tendency,
                               .normalisation = {.mean = {54000, 280}, .stddev = {2000, 10}, .tendency_stddev = {}},
                               .trained_lead = Duration{0}};
  if (sample.boundary_width > 0) layout.boundary = model::LateralBoundary{sample.boundary_width};
  layout.normalisation.tendency_stddev[Duration{21600}] = {600, 3};
  layout.static_fields.resize(layout.points());
  for (std::size_t i = 0; i < layout.points(); ++i) layout.static_fields[i] = static_cast<float>(100 * (i % 7));
  return layout;
}

inline model::NetworkConfig sample_network(const SampleModel& sample) {
  model::NetworkConfig config;
  config.preset = "tiny";
  config.patch = sample.patch;
  config.width = 32;
  config.heads = 2;
  config.blocks = 4;
  config.window_rows = 2;
  config.window_columns = 3;
  config.embedding = sample.embedding;
  if (sample.global_every > 0) config.global_every = sample.global_every;
  if (!sample.adapter_edges.empty()) config.lora = model::LoraConfig{3, sample.adapter_edges};
  return config;
}

/// Writes the model's folder; weights away from the start, which is the identity. `change` may alter them.
template <class Change>
void write_sample_model(const std::filesystem::path& path, const SampleModel& sample, Change&& change) {
  const model::ForecastLayout layout = sample_layout(sample);
  model::ForecastNetwork network = model::network_of_layout(sample_network(sample), layout);
  network.initialise(7);
  const model::ParameterStore& store = network.parameters();
  for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id) {
    const Philox noise(sample.seed, store.at(id).name);
    std::uint64_t i = 0;
    for (float& value : store.value(id).span<float>()) value += static_cast<float>(0.05 * noise.normal(i++));
  }
  change(network.parameters());
  model::ModelOrigin origin;
  origin.training_steps = 1;
  origin.training_start = parse_time("2000-01-01");
  origin.training_end = parse_time("2001-01-01");
  origin.archive_identity = "none";
  origin.configuration_hash = "none";
  origin.licence = "Apache-2.0";
  model::write_model(path, layout, network, origin, false);
}
inline void write_sample_model(const std::filesystem::path& path, const SampleModel& sample = {}) {
  write_sample_model(path, sample, [](model::ParameterStore&) {});
}

}  // namespace zonda::inference
