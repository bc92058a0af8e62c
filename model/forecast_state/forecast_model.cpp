#include "model/forecast_state/forecast_model.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/provenance.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/tensor/staging.hpp"

namespace zonda::model {

using nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr const char* model_kind = "zonda forecast model";

std::string names_of(std::span<const Channel> channels) {
  std::string text;
  for (const Channel& channel : channels) text += (text.empty() ? "" : ", ") + channel.name();
  return text.empty() ? "none" : text;
}

std::vector<std::size_t> extents(const Shape& shape) {
  std::vector<std::size_t> result;
  for (int i = 0; i < shape.rank(); ++i) result.push_back(static_cast<std::size_t>(shape[i]));
  return result;
}

std::string text_of(std::span<const std::size_t> shape) {
  std::string text;
  for (const std::size_t n : shape) text += (text.empty() ? "" : ", ") + std::to_string(n);
  return '[' + text + ']';
}

TensorFolder open_model(const fs::path& path) {
  if (!fs::exists(path)) fail(ErrorKind::data, "{}: no model there", path.string());
  const TensorFolder folder(path);
  const std::string kind = folder.header().value("kind", "unknown");
  if (kind != model_kind) fail(ErrorKind::data, "{}: is a '{}', expected a '{}'", path.string(), kind, model_kind);
  return folder;
}

/// What a gate has found too costly in int8 stays as it is: `int8.json` beside the model, of this very model.
void keep_exact_matrices(const fs::path& path, ForecastModel& model) {
  const fs::path file = path.parent_path() / "int8.json";
  if (!fs::exists(file)) return;
  const json verdict = json::parse(read_file(file), nullptr, false);
  if (!verdict.is_object() || verdict.value("model", "") != model.identity) return;
  const auto exact = verdict.value("exact", std::vector<std::string>{});
  model.network.keep_precise(
      [exact](std::string_view name) { return std::find(exact.begin(), exact.end(), name) != exact.end(); });
}

json to_json(std::span<const TokenMerging> levels) {
  json list = json::array();
  for (const TokenMerging& level : levels)
    list.push_back({{"tokens", level.tokens}, {"first_block", level.first}, {"last_block", level.last}});
  return list;
}

std::vector<TokenMerging> levels_from(const json& training) {
  std::vector<TokenMerging> levels;
  for (const json& level : training.value("levels", json::array()))
    levels.push_back({level.at("first_block").get<int>(), level.at("last_block").get<int>(),
                      level.at("tokens").get<std::int64_t>()});
  return levels;
}

}  // namespace

std::vector<TensorShape> parameter_shapes(const ParameterStore& store, const std::string& prefix) {
  std::vector<TensorShape> shapes;
  for (const Parameter& parameter : store.list())
    shapes.push_back({prefix + '/' + parameter.name, extents(parameter.whole_shape())});
  return shapes;
}

void for_parameters_within(const ParameterStore& store, std::int64_t first, std::int64_t count,
                           const std::function<void(std::size_t, std::int64_t, std::int64_t)>& part) {
  for (std::size_t i = 0; i < store.list().size(); ++i) {
    const Parameter& p = store.list()[i];
    const std::int64_t begin = std::max(first, p.offset), end = std::min(first + count, p.offset + p.count);
    if (begin < end) part(i, begin - p.offset, end - begin);
  }
}

namespace {

/// Numbers [from, from + values.size()) of this rank's part of a parameter.
void read_part(const TensorFolder& folder, const std::string& name, const Parameter& parameter, std::int64_t from,
               std::span<float> values) {
  if (!parameter.cut) return folder.read_range(name, static_cast<std::size_t>(from), values);
  const ParameterCut& cut = *parameter.cut;
  if (cut.together()) return folder.read_range(name, static_cast<std::size_t>(cut.index(from)), values);
  // The runs that hold them, of all parts.
  const std::int64_t run = cut.run(), begin = from / run, end = (from + std::ssize(values) + run - 1) / run;
  std::vector<float> whole(static_cast<std::size_t>((end - begin) * run * cut.parts())),
      part(static_cast<std::size_t>((end - begin) * run));
  folder.read_range(name, static_cast<std::size_t>(begin * run * cut.parts()), whole);
  cut.take(cut.first / cut.part[cut.dimension], whole, part);
  std::copy_n(part.begin() + (from - begin * run), values.size(), values.begin());
}

}  // namespace

void read_parameters(const TensorFolder& folder, ParameterStore& store, const Tensor& arena, const std::string& prefix,
                     std::int64_t first, std::int64_t count) {
  std::vector<float> values;
  for_parameters_within(store, first, count, [&](std::size_t i, std::int64_t from, std::int64_t numbers) {
    const Parameter& parameter = store.list()[i];
    const std::string name = prefix + '/' + parameter.name;
    if (is_addition(parameter.name) && !folder.holds(name)) return;
    const std::vector<std::size_t> expected = extents(parameter.whole_shape());
    if (folder.shape(name) != expected)
      fail(ErrorKind::data, "tensor {} is {}, this network's is {}: a file of another model", name,
           text_of(folder.shape(name)), text_of(expected));
    values.resize(static_cast<std::size_t>(numbers));
    read_part(folder, name, parameter, from, values);
    store.memory().copy_in(arena.as<float>() + parameter.offset + from, values.data(), values.size() * sizeof(float));
  });
  store.values_changed();
}

void read_parameters(const TensorFolder& folder, ParameterStore& store, const Tensor& arena,
                     const std::string& prefix) {
  read_parameters(folder, store, arena, prefix, 0, store.extent());
}

ModelWriter::ModelWriter(const fs::path& path, const ForecastLayout& layout, const ForecastNetwork& network,
                         const ModelOrigin& origin)
    : path_(path),
      store_(network.parameters()),
      header_({{"kind", model_kind},
               {"layout", layout.to_json()},
               {"network", json(config::dump(network.config()))},
               {"parameters", network.parameters().whole_count()},
               {"training",
                {{"steps", origin.training_steps},
                 {"start", to_string(origin.training_start)},
                 {"end", to_string(origin.training_end)},
                 {"archive", origin.archive_identity},
                 {"configuration", origin.configuration_hash}}},
               {"licence", origin.licence},
               {"code", code_version()}}),
      shapes_(parameter_shapes(store_, "weights")) {
  if (!origin.levels.empty()) header_["training"]["levels"] = to_json(origin.levels);
  begin_tensor_folder(path);
  file_ = std::make_unique<TensorPartsWriter>(path, 0);
  if (layout.static_channels.empty()) return;
  if (layout.static_rows)
    layout.static_rows->for_all([&](std::size_t field, std::size_t first, std::span<const float> values) {
      file_->write(shapes_.size(), field * layout.points() + first, values);
    });
  else
    file_->write(shapes_.size(), 0, layout.static_fields);
  shapes_.push_back({"static_fields", {layout.static_channels.size(), layout.grid.nlat(), layout.grid.nlon()}});
}

ModelWriter::~ModelWriter() {
  if (file_) abandon_tensor_folder(path_);
}

void ModelWriter::write(std::int64_t first, std::span<const float> numbers) {
  for_parameters_within(store_, first, static_cast<std::int64_t>(numbers.size()),
                        [&](std::size_t parameter, std::int64_t from, std::int64_t count) {
                          const std::int64_t at = store_.list()[parameter].offset + from - first;
                          file_->write(parameter, static_cast<std::size_t>(from),
                                       numbers.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count)));
                        });
}

void ModelWriter::write(std::int64_t first, std::span<const std::vector<float>> numbers) {
  std::vector<float> whole;
  for_parameters_within(store_, first, static_cast<std::int64_t>(numbers[0].size()),
                        [&](std::size_t parameter, std::int64_t, std::int64_t count) {
                          const Parameter& p = store_.list()[parameter];
                          const auto of_rank = [&](std::size_t r) {
                            return std::span(numbers[r])
                                .subspan(static_cast<std::size_t>(p.offset - first), static_cast<std::size_t>(count));
                          };
                          if (!p.cut) return file_->write(parameter, 0, of_rank(0));
                          whole.resize(static_cast<std::size_t>(count * p.cut->parts()));
                          for (std::size_t r = 0; r < numbers.size(); ++r)
                            p.cut->put(static_cast<std::int64_t>(r), of_rank(r), whole);
                          file_->write(parameter, 0, whole);
                        });
}

void ModelWriter::commit() {
  const json table = file_->close();
  commit_tensor_folder(path_, header_, shapes_, std::span(&table, 1));
  file_.reset();
}

void write_model(const fs::path& path, const ForecastLayout& layout, const ForecastNetwork& network,
                 const ModelOrigin& origin, bool averaged) {
  ModelWriter writer(path, layout, network, origin);
  const ParameterStore& store = network.parameters();
  std::vector<float> copy;
  writer.write(0, on_host(averaged ? store.average() : store.values(), store.memory(), copy));
  writer.commit();
}

json describe_model(const fs::path& path) {
  return open_model(path).header();
}

void read_model_weights(const fs::path& path, ParameterStore& store, std::int64_t first, std::int64_t count) {
  read_parameters(open_model(path), store, store.values(), "weights", first,
                  count < 0 ? store.extent() - first : count);
}

namespace {

/// Whole, or where ranks hold slabs, to be read by rows.
void set_static_fields(ForecastLayout& layout, const std::shared_ptr<const TensorFolder>& folder, bool by_rows) {
  if (layout.static_channels.empty()) return;
  if (!by_rows) {
    layout.static_fields.resize(layout.static_channels.size() * layout.points());
    folder->read("static_fields", layout.static_fields);
    return;
  }
  const std::size_t points = layout.points(), columns = layout.grid.nlon();
  layout.static_rows = std::make_shared<const StaticFields>(
      layout.static_channels, layout.grid.nlat(), columns,
      [folder, points, columns](std::size_t field, parallel::Range rows, std::span<float> values) {
        folder->read_range("static_fields", field * points + rows.begin * columns, values);
      });
}

}  // namespace

std::unique_ptr<ForecastModel> load_model(const fs::path& path, const ModelUse& use) {
  const auto shared_folder = std::make_shared<const TensorFolder>(open_model(path));
  const TensorFolder& folder = *shared_folder;
  const json& header = folder.header();
  try {
    ForecastLayout layout = ForecastLayout::from_json(header.at("layout"));
    set_static_fields(layout, shared_folder, use.sharding.slabs.size() > 1);
    if (const auto expected = header.at("layout").at("static_hash").get<std::string>();
        layout.static_hash() != expected)
      fail(ErrorKind::data, "{}: static fields have hash {}, the model says {}", path.string(), layout.static_hash(),
           expected);
    NetworkConfig network_config;
    config::read(config::parse_yaml(header.at("network").dump(), path.string()), network_config);
    if (!use.precision.empty()) network_config.precision = use.precision;
    const json& training = header.at("training");
    auto model = std::make_unique<ForecastModel>(
        ForecastModel{.layout = layout,
                      .network = network_of_layout(network_config, layout, use.backend, use.sharding),
                      .origin = {.training_steps = training.at("steps").get<std::int64_t>(),
                                 .training_start = parse_time(training.at("start").get<std::string>()),
                                 .training_end = parse_time(training.at("end").get<std::string>()),
                                 .archive_identity = training.at("archive").get<std::string>(),
                                 .configuration_hash = training.at("configuration").get<std::string>(),
                                 .licence = header.at("licence").get<std::string>(),
                                 .levels = levels_from(training)},
                      .identity = sha256(read_file(path / "manifest.json"))});
    if (model->network.config().precision == "int8") keep_exact_matrices(path, *model);
    model->network.allocate();
    read_parameters(folder, model->network.parameters(), model->network.parameters().values(), "weights");
    return model;
  } catch (const json::exception& error) {
    fail(ErrorKind::data, "{}: not the description of a forecast model: {}", path.string(), error.what());
  }
}

void require_inputs_of_model(const ForecastLayout& model, const Grid& grid, std::span<const Channel> channels,
                             const std::string& source) {
  if (!(model.grid == grid))
    fail(ErrorKind::data, "{}: grid {} (first latitude {}, first longitude {}), the model was trained on {} ({}, {})",
         source, grid.to_string(), grid.centre(0).latitude, grid.centre(0).longitude, model.grid.to_string(),
         model.grid.centre(0).latitude, model.grid.centre(0).longitude);
  if (!std::equal(channels.begin(), channels.end(), model.channels.begin(), model.channels.end()))
    fail(ErrorKind::data, "{}: channels {}; the model was trained on {}", source, names_of(channels),
         names_of(model.channels));
}

void require_static_fields_of_model(const ForecastLayout& model, std::span<const Channel> channels,
                                    const std::string& hash, const std::string& source) {
  if (hash != model.static_hash())
    fail(ErrorKind::data, "{}: static fields {} with hash {}, the model was trained with {} with hash {}", source,
         names_of(channels), hash.substr(0, 16), names_of(model.static_channels), model.static_hash().substr(0, 16));
}

}  // namespace zonda::model
