// `edge_scene FOLDER`: a hub (FOLDER/hub) with releases of one region, `sample`, and a feed.
//   1.0  a network with adapters of low rank on its matrices, token levels measured here
//   1.1  the same backbone, other adapters: a sibling
//   1.2  the same, but its self-test cannot pass
// 1.0 is assigned. Prints the folders as JSON.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"
#include "inference/bundle/lent_parameters.hpp"
#include "inference/edge/feed/boundary_feed.hpp"
#include "inference/edge/hub/publication.hpp"
#include "inference/edge/runtime/regional_model.hpp"
#include "inference/edge/simulator/spoiled_bundle.hpp"
#include "inference/export/export_bundle.hpp"
#include "inference/export/level_measurement.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/forecast_state/layout_network.hpp"

namespace {

namespace fs = std::filesystem;
using namespace zonda;

struct Words {
  fs::path folder, from, feed;
  std::string precision = "int8";
  double relative_change = 0;
  int rows = 16, columns = 24, width = 32, leads = 8;
};

model::ForecastLayout generated_layout(const Words& words) {
  const auto rows = static_cast<std::size_t>(words.rows), columns = static_cast<std::size_t>(words.columns);
  model::ForecastLayout layout{.grid = Grid::regional(70, 70 - 1.5 * (words.rows - 1), rows, 340,
                                                      340 + 1.5 * (words.columns - 1) - 360, columns),
                               .channels = {{"z", 500}, {"t", 850}, {"2t", 0}, {"10u", 0}, {"10v", 0}, {"msl", 0}},
                               .static_channels = {{"lsm", 0}},
                               .static_fields = {},
                               .forcings = {"cos_local_time"},
                               .steps = {Duration{21600}},
                               .target = model::Target::tendency,
                               .normalisation = {.mean = {54000, 278, 283, 2, 0, 101000},
                                                 .stddev = {1500, 8, 8, 5, 5, 900},
                                                 .tendency_stddev = {}},
                               .trained_lead = Duration{0},
                               .boundary = model::LateralBoundary{3}};
  layout.normalisation.tendency_stddev[Duration{21600}] = {300, 2, 2, 2, 2, 250};
  for (std::size_t i = 0; i < rows * columns; ++i) {
    const double y = static_cast<double>(i / columns) / words.rows,
                 x = static_cast<double>(i % columns) / words.columns;
    layout.static_fields.push_back(std::hypot(x - 0.5, y - 0.5) + 0.1 * std::sin(9 * x) < 0.3 ? 1.0F : 0.0F);
  }
  return layout;
}

struct Model {
  model::ForecastLayout layout;
  model::ForecastNetwork network;
};

/// Weights away from the start, which is the identity; adapters add nothing yet.
Model generated_model(const Words& words) {
  model::NetworkConfig config;
  config.preset = "tiny";
  config.patch = 1;
  config.width = words.width;
  config.heads = 2;
  config.blocks = 6;
  config.window_rows = words.rows / 2;
  config.window_columns = words.columns / 2;
  config.lora = model::LoraConfig{.rank = 4, .edges = {30}};
  Model made{generated_layout(words), model::network_of_layout(config, generated_layout(words))};
  made.network.initialise(7);
  const model::ParameterStore& store = made.network.parameters();
  for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id) {
    if (store.at(id).name.find(".adapter_") != std::string::npos) continue;
    const Philox noise(5, store.at(id).name);
    std::uint64_t i = 0;
    for (float& value : store.value(id).span<float>()) value += static_cast<float>(0.03 * noise.normal(i++));
  }
  return made;
}

/// The model of a bundle in fp32.
Model model_of_bundle(const fs::path& path, bool adapters) {
  const auto bundle = inference::Bundle::open(path);
  model::NetworkConfig config;
  config::read(config::parse_yaml(bundle.manifest().network.dump(), path.string()), config);
  if (adapters) config.lora = model::LoraConfig{.rank = 4, .edges = {30}};
  model::ForecastLayout layout = model::ForecastLayout::from_json(bundle.manifest().layout);
  if (!layout.static_channels.empty()) layout.static_fields = bundle.numbers("static/fields");
  Model made{layout, model::network_of_layout(config, layout)};
  made.network.initialise(7);
  const model::ParameterStore& store = made.network.parameters();
  for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id) {
    const std::string& name = store.at(id).name;
    if (model::is_addition(name)) continue;
    const std::vector<float> numbers = bundle.numbers(inference::weights_prefix + name);
    std::copy(numbers.begin(), numbers.end(), store.value(id).span<float>().begin());
  }
  return made;
}

/// Of the adapters' second matrices, which start at zero, and of the bucket that stations run, the first.
void turn_adapters(const Model& made, std::uint64_t seed) {
  const model::ParameterStore& store = made.network.parameters();
  for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id) {
    if (store.at(id).name.find(".adapter_") == std::string::npos) continue;
    const Philox noise(seed, store.at(id).name);
    std::uint64_t i = 0;
    for (float& value : store.value(id).span<float>()) value += static_cast<float>(0.02 * noise.normal(i++));
  }
}

/// Every weight by a normal factor.
void change_weights(const Model& made, double standard_deviation) {
  const model::ParameterStore& store = made.network.parameters();
  for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id) {
    const Philox noise(13, store.at(id).name);
    std::uint64_t i = 0;
    for (float& value : store.value(id).span<float>())
      value *= static_cast<float>(1 + standard_deviation * noise.normal(i++));
  }
}

fs::path export_of(const Model& made, const Words& words, const std::string& name) {
  model::ModelOrigin origin;
  origin.training_start = parse_time("2000-01-01");
  origin.training_end = parse_time("2001-01-01");
  origin.archive_identity = origin.configuration_hash = "none";
  origin.licence = "Apache-2.0";
  const fs::path folder = words.folder / (name + "-model"), bundle = words.folder / name;
  model::write_model(folder, made.layout, made.network, origin, false);
  inference::export_bundle({.model = folder, .to = bundle, .name = "sample", .precision = words.precision, .onnx = {}});
  fs::remove_all(folder);
  return bundle;
}

/// Writes levels into the manifest, with their times on this machine and, as skill, what they change of the golden
/// output beside an error of one standard deviation.
void add_levels(const fs::path& path, const Model& made) {
  auto manifest = inference::Bundle::open(path).manifest();
  manifest.levels = inference::candidate_levels(made.network);
  for (auto& level : manifest.levels) level.milliseconds = 1;
  write_file(path / "manifest.json", manifest.to_text());
  const auto model = edge::RegionalModel::open(path);
  const auto bundle = inference::Bundle::open(path);
  const std::vector<float> input = bundle.numbers("golden/input"), condition = bundle.numbers("golden/condition");
  std::vector<float> exact, output(bundle.numbers("golden/output").size());
  const std::size_t points = made.layout.points();
  for (auto& level : manifest.levels) {
    level.milliseconds = 1e300;
    for (int repeat = 0; repeat < 4; ++repeat) {
      const auto begin = std::chrono::steady_clock::now();
      model->pass(input, condition, output, level.level);
      const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
      level.milliseconds = std::min(level.milliseconds, taken.count());
    }
    if (level.level == 0) exact = output;
    level.measured_on = "generated";
    for (std::size_t c = 0; c < made.layout.channels.size(); ++c) {
      double squares = 0;
      for (std::size_t i = c * points; i < (c + 1) * points; ++i) squares += std::pow(output[i] - exact[i], 2);
      const double ratio = std::sqrt(1 + squares / static_cast<double>(points));
      level.skill.push_back(
          {made.layout.channels[c].name(), 24, ratio * made.layout.normalisation.stddev[c], ratio - 1});
    }
  }
  write_file(path / "manifest.json", manifest.to_text());
}

/// Waves of a third of the standard deviation that travel eastward.
edge::BoundaryFeed generated_feed(const model::ForecastLayout& layout, int leads) {
  edge::BoundaryFeed feed{
      .grid = layout.grid, .channels = layout.channels, .ring_width = layout.boundary->width, .leads = {}};
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  feed.step = layout.steps.front();
  feed.cycle = Time(now.time_since_epoch() / feed.step * feed.step);
  feed.region = "sample";
  feed.host = "generated";
  const auto value = [&](std::size_t channel, std::size_t cell, int lead) {
    return static_cast<float>(
        layout.normalisation.mean[channel] +
        0.3 * layout.normalisation.stddev[channel] *
            std::sin(0.4 * static_cast<double>(cell % layout.grid.nlon()) - 0.3 * lead + static_cast<double>(channel)));
  };
  for (std::size_t c = 0; c < layout.channels.size(); ++c)
    for (std::size_t i = 0; i < layout.points(); ++i) {
      feed.previous.push_back(value(c, i, -1));
      feed.current.push_back(value(c, i, 0));
    }
  const auto cells = edge::ring_cells(layout.grid.nlat(), layout.grid.nlon(), feed.ring_width);
  for (int lead = 1; lead <= leads; ++lead) {
    feed.leads.push_back(lead * feed.step);
    for (std::size_t c = 0; c < layout.channels.size(); ++c)
      for (const auto cell : cells) feed.strips.push_back(value(c, cell, lead));
  }
  return feed;
}

std::uintmax_t bytes_of(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  for (const auto& file : fs::directory_iterator(folder)) bytes += file.file_size();
  return bytes;
}

void build(const Words& words) {
  const Time now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  fs::remove_all(words.folder);
  fs::create_directories(words.folder);
  const Model made =
      words.from.empty() ? generated_model(words) : model_of_bundle(words.from, words.relative_change == 0);
  const fs::path one = export_of(made, words, "one");
  add_levels(one, made);
  if (words.relative_change > 0)
    change_weights(made, words.relative_change);
  else
    turn_adapters(made, 11);
  const fs::path two = export_of(made, words, "two");
  auto manifest = inference::Bundle::open(two).manifest();
  manifest.levels = inference::Bundle::open(one).manifest().levels;
  write_file(two / "manifest.json", manifest.to_text());
  edge::write_spoiled_bundle(two, words.folder / "spoiled");
  const fs::path feed = words.feed.empty() ? words.folder / "sample.feed" : words.feed;
  if (words.feed.empty()) edge::write_feed(feed, generated_feed(made.layout, words.leads));

  std::vector<fs::path> keys;
  for (const char* key : {"root-1", "root-2", "root-3"}) keys.push_back(words.folder / key);
  auto hub = edge::Repository::create(words.folder / "hub", keys, 2, edge::Lifetimes{}, "", now);
  const std::string region = edge::read_feed(feed).region;
  edge::publish_bundle(hub, {one, "sample", "1.0", region, {}, {}}, now);
  const auto sibling = edge::publish_bundle(hub, {two, "sample", "1.1", region, {"1.0"}, {}}, now);
  edge::publish_bundle(hub, {words.folder / "spoiled", "sample", "1.2", region, {"1.0"}, {}}, now);
  edge::AssignmentRule rule;
  rule.model = "sample";
  rule.version = "1.0";
  edge::assign(hub, rule, now);
  edge::publish_feed(hub, feed, 4, now);

  nlohmann::ordered_json told{{"hub", (words.folder / "hub").string()},
                              {"one", one.string()},
                              {"two", two.string()},
                              {"spoiled", (words.folder / "spoiled").string()},
                              {"tokens", nlohmann::json::array()},
                              {"milliseconds", nlohmann::json::array()},
                              {"bundle_bytes", bytes_of(two)},
                              {"weights_bytes", fs::file_size(two / "weights.bin")},
                              {"delta_bytes", sibling.deltas.empty() ? -1 : sibling.deltas[0].file.length}};
  for (const auto& level : manifest.levels) {
    told["tokens"].push_back(level.tokens);
    told["milliseconds"].push_back(level.milliseconds);
  }
  std::printf("%s\n", told.dump(2).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program("A hub with releases and a feed, for programs to be tried on");
  Words words;
  program.add_option("FOLDER", words.folder)->required();
  program.add_option("--from", words.from, "A bundle in fp32 whose model it is");
  program.add_option("--feed", words.feed, "A feed for it");
  program.add_option("--relative-change", words.relative_change,
                     "1.1 is every weight by a normal factor of this standard deviation, instead of other adapters");
  program.add_option("--precision", words.precision);
  program.add_option("--rows", words.rows);
  program.add_option("--columns", words.columns);
  program.add_option("--width", words.width);
  program.add_option("--leads", words.leads);
  CLI11_PARSE(program, argc, argv);
  try {
    build(words);
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
