// `zonda inspect`: what is in a file or folder, for people and machines; a map of any field of it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "app/verb.hpp"
#include "core/atomic_file.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/state.hpp"
#include "inference/bundle/bundle.hpp"
#include "inference/edge/forecast/forecast_file.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "ingest/cf/cf_writer.hpp"
#include "ingest/observations/files/observation_file.hpp"
#include "ingest/observations/observation_summary.hpp"
#include "ingest/sources/inspect_source.hpp"
#include "ingest/sources/source.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "postproc/maps/map.hpp"

namespace zonda::app {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Words {
  std::vector<fs::path> paths;
  std::string channel, time, title;
  fs::path png, raw, netcdf, columns;
  std::vector<double> levels;
  bool coastlines = true, statistics = false;
};

std::vector<std::string> names_of(const std::vector<Channel>& channels) {
  std::vector<std::string> names;
  for (const Channel& channel : channels) names.push_back(channel.name());
  return names;
}

Json describe_archive(const fs::path& path) {
  const ingest::ArchiveReader archive(path);
  Json record{{"kind", "archive"},
              {"path", path.string()},
              {"grid", archive.grid().to_string()},
              {"channels", names_of(archive.channels())},
              {"static", names_of(archive.static_channels())},
              {"times", archive.times().size()},
              {"first", to_string(archive.times().front())},
              {"last", to_string(archive.times().back())},
              {"step", to_string(archive.step())},
              {"identity", archive.identity()}};
  const ingest::Statistics& statistics = archive.statistics();
  record["statistics"]["period"] = {to_string(statistics.first), to_string(statistics.last)};
  for (std::size_t c = 0; c < archive.channels().size(); ++c) {
    Json& row = record["statistics"][archive.channels()[c].name()];
    row = Json{{"mean", statistics.mean[c]},
               {"stddev", statistics.stddev[c]},
               {"minimum", statistics.minimum[c]},
               {"maximum", statistics.maximum[c]}};
    for (const auto& [step, tendency] : statistics.tendencies)
      row["tendency_stddev"][to_string(step)] = tendency.stddev[c];
  }
  return record;
}

Json describe_source(const fs::path& path, bool statistics) {
  Json record{{"kind", "source"}, {"path", path.string()}};
  record.update(Json(ingest::inspect_source(path, {}, {.statistics = statistics, .most_fields = 0})));
  return record;
}

/// A file of observations: its summary, in words in `text`. A table whose columns nobody has described shows their
/// names.
Json describe_observations(const fs::path& path, ingest::ObservationFormat format, const fs::path& columns,
                           std::string& text) {
  using enum ingest::ObservationFormat;
  Json record{{"kind", "observations"}, {"path", path.string()}};
  text += "kind: observations\npath: " + path.string() + '\n';
  if ((format == csv || format == netcdf_points) && columns.empty()) {
    const ingest::TextTable table =
        format == csv ? ingest::parse_csv(read_file(path), ',', path.string()) : ingest::read_point_netcdf(path);
    record["rows"] = table.rows.size();
    record["columns"] = table.names;
    text += "rows: " + std::to_string(table.rows.size()) + "\ncolumns:";
    for (const std::string& name : table.names) text += ' ' + name;
    text += "\n(--columns FILE says what they are)\n";
    return record;
  }
  ingest::ColumnMap map;
  if (!columns.empty()) config::read(config::parse_yaml(read_file(columns), columns.string()), map);
  const auto [table, account] = ingest::read_observations(path, columns.empty() ? nullptr : &map);
  record.update(ingest::summarise(table, account));
  text += ingest::summary_table(table, account);
  return record;
}

/// Every byte of it is verified on the way.
Json describe_bundle(const fs::path& path) {
  const inference::Bundle bundle = inference::Bundle::open(path);
  const inference::BundleManifest& m = bundle.manifest();
  Json record{{"kind", "bundle"},     {"path", path.string()},    {"identity", bundle.identity()},
              {"name", m.name},       {"precision", m.precision}, {"parameters", m.parameters},
              {"licence", m.licence}, {"code", m.code},           {"model", m.model},
              {"parents", m.parents}, {"hardware", m.hardware}};
  record["region"] = {{"grid", m.region.grid}, {"north", m.region.north}, {"south", m.region.south},
                      {"west", m.region.west}, {"east", m.region.east},   {"boundary_width", m.region.boundary_width}};
  if (!m.region.crs_wkt.empty()) record["region"]["crs_wkt"] = m.region.crs_wkt;
  Json channels = Json::array();
  for (const auto& channel : m.layout.at("channels")) channels.push_back(channel.at("name").get<std::string>());
  record["channels"] = channels;
  for (const char* key : {"forcings", "static_channels", "steps_seconds"}) record[key] = Json(m.layout.at(key));
  record["network"] = Json(m.network);
  for (const inference::TokenLevel& level : m.levels) {
    Json row{{"level", level.level}, {"tokens", level.tokens}};
    if (level.milliseconds > 0) row.update({{"milliseconds", level.milliseconds}, {"measured_on", level.measured_on}});
    for (const inference::MeasuredSkill& skill : level.skill)
      row[skill.channel + " at " + std::to_string(skill.lead_hours) + "h"] =
          Json{{"rmse", skill.rmse}, {"increase", skill.increase}};
    record["levels"].push_back(row);
  }
  for (const inference::BundleFile& file : m.files)
    record["files"].push_back(Json{{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  std::map<std::string, std::uint64_t> bytes;
  for (const inference::BundleTensor& tensor : m.tensors)
    if (tensor.file == "weights.bin") bytes[std::string(model::name_of(tensor.dtype))] += tensor.bytes;
  record["weight_bytes"] = Json(bytes);
  return record;
}

bool is_station_forecast(const fs::path& path) {
  return fs::is_regular_file(path) && path.extension() == ".forecast";
}

Json describe_station_forecast(const fs::path& path) {
  const edge::RegionalForecast forecast = edge::open_forecast(path);
  Json channels = Json::array();
  for (const Channel& channel : forecast.channels) channels.push_back(channel.name());
  return {{"kind", "station forecast"},
          {"path", path.string()},
          {"grid", forecast.grid.to_string()},
          {"channels", channels},
          {"initial", to_string(forecast.initial)},
          {"end", to_string(forecast.end())},
          {"leads", forecast.leads.size()},
          {"model", forecast.model},
          {"feed", forecast.feed},
          {"level", forecast.level},
          {"computed", to_string(forecast.computed)}};
}

/// A station's forecast as a CF file.
void write_netcdf(const fs::path& path, const fs::path& to) {
  if (!is_station_forecast(path))
    fail(ErrorKind::usage, "{}: --netcdf takes a station's forecast, FILE.forecast", path.string());
  const edge::RegionalForecast forecast = edge::open_forecast(path);
  ingest::CfOptions options;
  options.title = "Regional forecast";
  options.source = "model " + forecast.model + ", boundary " + forecast.feed;
  options.reference_time = forecast.initial;
  ingest::CfWriter writer(to, forecast.grid, forecast.channels, options);
  for (std::size_t lead = 0; lead < forecast.leads.size(); ++lead) {
    State state(forecast.grid, forecast.channels, forecast.valid(lead));
    for (std::size_t c = 0; c < forecast.channels.size(); ++c) {
      const auto field = forecast.field(lead, c);
      std::copy(field.begin(), field.end(), state.field(c).begin());
    }
    writer.write(state);
  }
  writer.close();
}

Json describe_path(const fs::path& path, bool statistics) {
  if (!fs::exists(path)) fail(ErrorKind::data, "{}: no such file or folder", path.string());
  if (is_station_forecast(path)) return describe_station_forecast(path);
  if (fs::exists(path / "archive.json")) return describe_archive(path);
  if (fs::exists(path / "archive" / "archive.json")) return describe_archive(path / "archive");
  if (inference::is_bundle(path)) return describe_bundle(path);
  if (fs::exists(path / "manifest.json")) {
    // The hash is of the numbers alone: the same on however many ranks they were trained.
    const model::TensorFolder folder(path);
    Json record{{"kind", "model"}, {"path", path.string()}, {"hash", folder.hash()}};
    const bool checkpoint = folder.header().contains("position");
    record.update(Json(checkpoint ? folder.header() : model::describe_model(path)));
    if (checkpoint) {
      record.erase("configuration");
      record["position"].erase("guard");  // a hundred losses
    }
    return record;
  }
  return describe_source(path, statistics);
}

/// `key: value` lines; objects are indented, a list of objects is a line each.
void write_text(const Json& value, const std::string& indent, std::string& text) {
  for (const auto& [key, item] : value.items()) {
    if (item.is_object()) {
      text += indent + key + ":\n";
      write_text(item, indent + "  ", text);
    } else if (item.is_array() && !item.empty() && item.front().is_object()) {
      text += indent + key + ":\n";
      for (const auto& element : item) {
        std::string line;
        for (const auto& [name, part] : element.items()) {
          line += (line.empty() ? "" : ", ") + name + " " + (part.is_string() ? part.get<std::string>() : part.dump());
        }
        text += indent + "  " + line + '\n';
      }
    } else if (item.is_array()) {
      text += indent + key + ":";
      for (const auto& element : item)
        text += " " + (element.is_string() ? element.get<std::string>() : element.dump());
      text += '\n';
    } else {
      text += indent + key + ": " + (item.is_string() ? item.get<std::string>() : item.dump()) + '\n';
    }
  }
}

/// One field of a file or archive.
struct Field {
  Grid grid;
  Time time;
  std::vector<float> values;
};

template <class Times>
[[noreturn]] void no_such_time(const fs::path& path, const std::string& wanted, const Times& times) {
  fail(ErrorKind::data, "{}: no field at {}; there are {} times from {} to {}", path.string(), wanted, times.size(),
       to_string(*times.begin()), to_string(*times.rbegin()));
}

/// `when`: a time, or "last".
Field read_field(const fs::path& path, const Channel& channel, const std::string& when) {
  const fs::path archive_path = fs::exists(path / "archive" / "archive.json") ? path / "archive" : path;
  if (fs::exists(archive_path / "archive.json")) {
    const ingest::ArchiveReader archive(archive_path);
    const auto at = find_channel(archive.channels(), channel);
    if (!at)
      throw Error(ErrorKind::data,
                  path.string() + ": " + unknown_word("channel", channel.name(), names_of(archive.channels())));
    const auto index = when == "last" ? archive.times().size() - 1
                                      : archive.find_time(parse_time(when)).value_or(archive.times().size());
    if (index == archive.times().size()) no_such_time(path, when, archive.times());
    Field field{archive.grid(), archive.times()[index], std::vector<float>(archive.grid().size())};
    archive.read_channel(index, *at, 0, field.grid.nlat(), field.values);
    return field;
  }
  const auto source = ingest::open_source(path);
  std::set<Time> times;
  const ingest::FieldKey* chosen = nullptr;
  std::set<std::string> channels;
  for (const ingest::FieldKey& key : source->fields()) {
    channels.insert(key.channel.name());
    if (key.channel != channel) continue;
    times.insert(key.valid_time);
    if (when == "last" || key.valid_time == parse_time(when)) chosen = &key;
  }
  if (times.empty()) {
    const std::vector<std::string> known(channels.begin(), channels.end());
    throw Error(ErrorKind::data, path.string() + ": " + unknown_word("channel", channel.name(), known));
  }
  if (chosen == nullptr) no_such_time(path, when, times);
  Field field{source->grid(channel), chosen->valid_time, {}};
  field.values.resize(field.grid.size());
  source->read(*chosen, field.values);
  return field;
}

void draw(const Words& words) {
  const Channel channel = parse_channel(words.channel);
  const postproc::FieldStyle style = postproc::field_style(channel);
  std::vector<postproc::MapPanel> panels;
  Time time{};
  for (const fs::path& path : words.paths) {
    Field field = read_field(path, channel, words.time);
    time = field.time;
    postproc::MapPanel panel{path.string(), "",           field.grid, std::move(field.values),
                             style,         words.levels, {},         words.coastlines};
    panels.push_back(std::move(panel));
  }
  if (panels.size() > 1 && words.levels.empty()) {
    std::vector<std::span<const float>> fields;
    for (const auto& panel : panels) fields.emplace_back(panel.field);
    for (auto& panel : panels) panel.levels = postproc::shared_levels(style, fields);
  }
  postproc::MapSheet sheet;
  sheet.title = words.title.empty() ? style.title : words.title;
  sheet.subtitle = postproc::title_time(time);
  sheet.columns = panels.size() > 3 ? 2 : 1;
  postproc::draw_maps(sheet, panels, words.png);
}

void dump_raw(const Words& words) {
  const Field field = read_field(words.paths.front(), parse_channel(words.channel), words.time);
  write_file(words.raw, {reinterpret_cast<const char*>(field.values.data()), field.values.size() * sizeof(float)});
}

}  // namespace

Verb inspect_verb() {
  return {
      "inspect", "Show what is in an archive, a model or anybody's file; draw a map of a field of it",
      "zonda inspect runs/quickstart/forecast/2000012100.nc --channel z500 --png z500.png",
      [](CLI::App& command, Session& session) {
        auto words = std::make_shared<Words>();
        words->time = "last";
        command
            .add_option("PATH", words->paths,
                        "Archive, run directory, model, NetCDF, GRIB or Zarr source, or observations")
            ->required();
        auto* channel = command.add_option("--channel", words->channel, "The field: z500, 2t ...");
        command.add_option("--time", words->time, "Its valid time, or last")->capture_default_str();
        command.add_option("--png", words->png, "Draw it; several paths become panels of one picture")->needs(channel);
        command.add_option("--raw", words->raw, "Write its float32 values [lat, lon], north first")->needs(channel);
        command.add_option("--netcdf", words->netcdf, "Write a station's forecast (FILE.forecast) as a CF NetCDF file");
        command.add_option("--title", words->title, "Title of the picture");
        command.add_option("--levels", words->levels, "Shading levels of the picture")->delimiter(',');
        command.add_option("--columns", words->columns, "YAML that says what the columns of a CSV or NetCDF table are");
        command.add_flag("!--no-coastlines", words->coastlines, "For idealised planets");
        return [&session, words] {
          if (!session.speaks()) return;
          if (!words->png.empty()) draw(*words);
          if (!words->raw.empty()) dump_raw(*words);
          if (!words->netcdf.empty()) write_netcdf(words->paths.front(), words->netcdf);
          if (!words->png.empty() || !words->raw.empty() || !words->netcdf.empty()) return;
          Json records = Json::array();
          std::string text;
          for (const fs::path& path : words->paths) {
            const auto format =
                fs::is_regular_file(path) ? ingest::observation_format(path) : ingest::ObservationFormat::none;
            if (format != ingest::ObservationFormat::none) {
              records.push_back(describe_observations(path, format, words->columns, text));
              continue;
            }
            Json record = describe_path(path, words->statistics);
            if (!session.json && !words->statistics) record.erase("fields");
            write_text(record, "", text);
            records.push_back(std::move(record));
          }
          print_result(session, session.json ? records.dump(2) : text);
        };
      }};
}

}  // namespace zonda::app
