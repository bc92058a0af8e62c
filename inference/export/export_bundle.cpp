#include "inference/export/export_bundle.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/provenance.hpp"
#include "inference/bundle/bundle_writer.hpp"
#include "inference/export/golden_sample.hpp"
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

/// The self-test's numbers, input, condition and output.
void write_golden(BundleWriter& writer, const model::ForecastModel& model, const model::NetworkConfig& network_config,
                  const StoredWeights& weights) {
  LentParameters lent;
  model::ForecastNetwork network = stored_network(model.layout, network_config, weights, lent);
  network.plan(1, model::Use::inference);
  GoldenSample sample = golden_sample(model.layout);
  const auto rows = static_cast<std::int64_t>(model.layout.grid.nlat()),
             columns = static_cast<std::int64_t>(model.layout.grid.nlon());
  const std::int64_t in = network.input_channels(), out = network.output_channels();
  std::vector<float> output(static_cast<std::size_t>(out * rows * columns));
  network.forward(model::Tensor::of(sample.input, {1, in, rows, columns}),
                  model::Tensor::of(sample.condition, {1, network.condition_size()}),
                  model::Tensor::of(output, {1, out, rows, columns}));
  writer.add_tensor(golden_file, "golden/input", {1, in, rows, columns}, std::span<const float>(sample.input));
  writer.add_tensor(golden_file, "golden/condition", {1, network.condition_size()},
                    std::span<const float>(sample.condition));
  writer.add_tensor(golden_file, "golden/output", {1, out, rows, columns}, std::span<const float>(output));
}

}  // namespace

Exported export_bundle(const ExportConfig& config) {
  static const std::vector<std::string> precisions{"fp32", "bf16", "int8"};
  if (std::find(precisions.begin(), precisions.end(), config.precision) == precisions.end())
    throw Error(ErrorKind::usage, unknown_word("precision", config.precision, precisions));
  std::vector<OnnxProfile> profiles;
  for (const std::string& word : config.onnx) profiles.push_back(onnx_profile(word));

  const auto model = model::load_model(config.model, {.backend = {}, .precision = "fp32"});
  const StoredWeights weights(model->network, config.precision, {config.exact.begin(), config.exact.end()});
  model::NetworkConfig network_config = model->network.config();
  network_config.precision = config.precision;

  BundleManifest manifest;
  manifest.name = config.name.empty() ? model->layout.grid.to_string() : config.name;
  manifest.precision = config.precision;
  manifest.licence = model->origin.licence;
  manifest.code = code_version();
  manifest.model = model->identity;
  manifest.parents = config.parents;
  manifest.hardware = config.hardware;
  manifest.region = region_of(model->layout);
  manifest.parameters = model->network.parameter_count();
  manifest.levels = candidate_levels(model->network);
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
                              {"parents", config.parents}};
  writer.add_file("provenance.json", provenance_statement(*model, configuration, writer.seal()));

  Exported exported;
  exported.manifest = manifest;
  exported.identity = writer.commit(std::move(manifest));
  exported.weight_bytes = weights.bytes();
  for (const BundleFile& file : writer.files()) exported.bytes += file.bytes;
  return exported;
}

}  // namespace zonda::inference
