#include "inference/export/export_bundle.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/provenance.hpp"
#include "inference/bundle/bundle_writer.hpp"
#include "inference/export/golden_sample.hpp"
#include "inference/export/near_base.hpp"
#include "inference/export/onnx/network_graph.hpp"
#include "inference/export/provenance_statement.hpp"
#include "inference/export/region_coast.hpp"
#include "inference/export/stored_weights.hpp"
#include "ingest/reference_system/reference_system.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/forecast_state/layout_network.hpp"

namespace zonda::inference {

using nlohmann::json;

namespace {

constexpr const char *weights_file = "weights.bin", *static_file = "static.bin", *golden_file = "golden.bin";

/// How far another machine's self-test may be off: f32 sums in another order; in int8 and bf16 a number that rounds
/// the other way.
/// Between machines. In int8 numbers on the edge between two steps fall either way: as far as int8 is from fp32.
double tolerance_of(const std::string& precision) {
  return precision == "fp32" ? 1e-4 : precision == "bf16" ? 5e-2 : 0.15;
}

Region region_of(const model::ForecastLayout& layout) {
  const Grid& grid = layout.grid;
  const GridExtent extent = grid.extent();
  Region region{grid.to_string(), extent.north, extent.south,
                extent.west,      extent.east,  layout.boundary ? layout.boundary->width : 0};
  if (!grid.projection()) {
    region.west = grid.longitudes().front();
    region.east = grid.longitudes().back();
    return region;
  }
  ingest::verify_projection(grid);
  region.crs_wkt = ingest::well_known_text(*grid.projection());
  return region;
}

void write_static(BundleWriter& writer, const model::ForecastLayout& layout) {
  const Grid& grid = layout.grid;
  const auto rows = static_cast<std::int64_t>(grid.nlat()), columns = static_cast<std::int64_t>(grid.nlon());
  if (grid.projection()) {
    std::vector<double> latitudes, longitudes;
    for (std::size_t cell = 0; cell < grid.size(); ++cell) {
      latitudes.push_back(grid.centre(cell).latitude);
      longitudes.push_back(grid.centre(cell).longitude);
    }
    writer.add_tensor(static_file, "static/latitude", {rows, columns}, std::span<const double>(latitudes));
    writer.add_tensor(static_file, "static/longitude", {rows, columns}, std::span<const double>(longitudes));
  } else {
    writer.add_tensor(static_file, "static/latitude", {rows}, grid.latitudes());
    writer.add_tensor(static_file, "static/longitude", {columns}, grid.longitudes());
  }
  if (!layout.static_channels.empty())
    writer.add_tensor(static_file, "static/fields",
                      {static_cast<std::int64_t>(layout.static_channels.size()), rows, columns},
                      std::span<const float>(layout.static_fields));
  if (const std::vector<float> coast = region_coast(grid); !coast.empty())
    writer.add_tensor(static_file, "static/coast", {static_cast<std::int64_t>(coast.size() / 4), 4},
                      std::span<const float>(coast));
}

/// The network as stations run it: with the weights as they are stored.
model::ForecastNetwork stored_network(const model::ForecastLayout& layout, const model::NetworkConfig& network_config,
                                      const StoredWeights& weights, LentParameters& lent) {
  model::ForecastNetwork network = model::network_of_layout(network_config, layout);
  lent.lend(network.parameters(), weights.tensors());
  return network;
}

std::vector<TokenLevel> measure_stored_levels(const model::ForecastModel& model,
                                              const model::NetworkConfig& network_config, const StoredWeights& weights,
                                              const std::vector<TokenLevel>& levels, const ExportConfig& config) {
  LentParameters lent;
  model::ForecastModel stored{.layout = model.layout,
                              .network = stored_network(model.layout, network_config, weights, lent),
                              .origin = model.origin,
                              .identity = model.identity};
  return measure_levels(stored, levels, config.measure_on, config.trial);
}

std::vector<float> output_of(model::ForecastNetwork& network, GoldenSample& sample, const Grid& grid) {
  const auto rows = static_cast<std::int64_t>(grid.nlat()), columns = static_cast<std::int64_t>(grid.nlon());
  network.plan(1, model::Use::inference);
  std::vector<float> output(static_cast<std::size_t>(network.output_channels() * rows * columns));
  network.forward(model::Tensor::of(sample.input, {1, network.input_channels(), rows, columns}),
                  model::Tensor::of(sample.condition, {1, network.condition_size()}),
                  model::Tensor::of(output, {1, network.output_channels(), rows, columns}));
  return output;
}

std::vector<float> output_of(const model::ForecastModel& model, const model::NetworkConfig& network_config,
                             const StoredWeights& weights, GoldenSample& sample) {
  LentParameters lent;
  model::ForecastNetwork network = stored_network(model.layout, network_config, weights, lent);
  return output_of(network, sample, model.layout.grid);
}

/// The self-test's numbers, input, condition and output. Of int8 the output has the digits that it is compared by, so
/// that the next release's is like it.
void write_golden(BundleWriter& writer, const model::ForecastModel& model, const model::NetworkConfig& network_config,
                  const StoredWeights& weights) {
  GoldenSample sample = golden_sample(model.layout);
  std::vector<float> output = output_of(model, network_config, weights, sample);
  if (const float step = golden_step(network_config.precision); step > 0)
    for (float& value : output) value = std::nearbyint(value / step) * step;
  const auto rows = static_cast<std::int64_t>(model.layout.grid.nlat()),
             columns = static_cast<std::int64_t>(model.layout.grid.nlon()),
             points = static_cast<std::int64_t>(model.layout.points());
  const auto fields = [&](const std::vector<float>& values) {
    return std::vector<std::int64_t>{1, static_cast<std::int64_t>(values.size()) / points, rows, columns};
  };
  writer.add_tensor(golden_file, "golden/input", fields(sample.input), std::span<const float>(sample.input));
  writer.add_tensor(golden_file, "golden/condition", {1, static_cast<std::int64_t>(sample.condition.size())},
                    std::span<const float>(sample.condition));
  writer.add_tensor(golden_file, "golden/output", fields(output), std::span<const float>(output));
}

/// What a base makes of the weights is as near to the model as int8 without one.
BaseCost require_skill(model::ForecastModel& model, const model::NetworkConfig& network_config,
                       const StoredWeights& weights, const ExportConfig& config) {
  GoldenSample sample = golden_sample(model.layout);
  const StoredWeights plain(model.network, config.precision, {config.exact.begin(), config.exact.end()});
  return require_as_skilful(output_of(model.network, sample, model.layout.grid),
                            output_of(model, network_config, plain, sample),
                            output_of(model, network_config, weights, sample));
}

}  // namespace

Exported export_bundle(const ExportConfig& config) {
  static const std::vector<std::string> precisions{"fp32", "bf16", "int8"};
  if (std::find(precisions.begin(), precisions.end(), config.precision) == precisions.end())
    throw Error(ErrorKind::usage, unknown_word("precision", config.precision, precisions));
  std::vector<OnnxProfile> profiles;
  for (const std::string& word : config.onnx) profiles.push_back(onnx_profile(word));

  const auto model = model::load_model(config.model, {.backend = {}, .precision = "fp32"});
  if (!config.base.empty() && config.precision != "int8")
    fail(ErrorKind::usage, "export: a base is for bundles in int8, this one is in {}", config.precision);
  const std::optional<Bundle> base = config.base.empty() ? std::nullopt : std::optional(Bundle::open(config.base));
  std::vector<std::string> parents = config.parents;
  if (base) parents.push_back(base->identity());
  const StoredWeights weights(model->network, config.precision, {config.exact.begin(), config.exact.end()},
                              base ? &*base : nullptr);
  model::NetworkConfig network_config = model->network.config();
  network_config.precision = config.precision;
  std::optional<BaseCost> base_cost;
  if (base) base_cost = require_skill(*model, network_config, weights, config);

  BundleManifest manifest;
  manifest.name = config.name.empty() ? model->layout.grid.to_string() : config.name;
  manifest.precision = config.precision;
  manifest.licence = model->origin.licence;
  manifest.code = code_version();
  manifest.model = model->identity;
  manifest.parents = parents;
  manifest.hardware = config.hardware;
  manifest.region = region_of(model->layout);
  manifest.parameters = model->network.parameter_count();
  manifest.levels = candidate_levels(model->network, model->origin.levels);
  manifest.levels.resize(config.measure_on.empty() ? 1 : manifest.levels.size());
  manifest.network = json(config::dump(model->network.config()));
  manifest.layout = model->layout.to_json();
  manifest.golden_tolerance = tolerance_of(config.precision);

  BundleWriter writer(config.to);
  weights.write(writer, weights_file);
  write_static(writer, model->layout);
  write_golden(writer, *model, network_config, weights);
  if (!config.measure_on.empty())
    manifest.levels = measure_stored_levels(*model, network_config, weights, manifest.levels, config);
  const auto find = [&](const std::string& name) -> const BundleTensor& {
    const auto tensors = writer.tensors();
    const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const BundleTensor& t) { return t.name == name; });
    if (at == tensors.end()) fail(ErrorKind::failure, "no stored tensor {}", name);
    return *at;
  };
  for (const OnnxProfile profile : profiles)
    writer.add_file(onnx_file(profile), network_graph(model->network, model->layout, profile, find));
  const json configuration = {{"precision", config.precision},
                              {"exact", config.exact},
                              {"onnx", config.onnx},
                              {"name", manifest.name},
                              {"parents", parents}};
  writer.add_file("provenance.json", provenance_statement(*model, configuration, writer.seal()));

  Exported exported;
  exported.manifest = manifest;
  exported.base_cost = base_cost;
  exported.identity = writer.commit(std::move(manifest));
  exported.weight_bytes = weights.bytes();
  for (const BundleFile& file : writer.files()) exported.bytes += file.bytes;
  return exported;
}

}  // namespace zonda::inference
