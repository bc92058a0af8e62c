#include "ingest/pipeline/ingest_config.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>

#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/grid.hpp"
#include "ingest/pipeline/channel_presets.hpp"

namespace zonda::ingest {
namespace {

/// The complaint of a check: what `work` throws, or "".
std::string complaint(const std::function<void()>& work) {
  try {
    work();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

double parse_value(const std::string& text, const std::string& key) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    fail(ErrorKind::usage, "{}: '{}' is not a number", key, text);
  }
  return value;
}

std::string area_complaint(const std::vector<double>& area) {
  if (area.empty()) return "";
  if (area.size() != 4) return "needs four numbers: north, west, south, east";
  if (area[0] > 90 || area[2] < -90 || area[0] <= area[2]) return "needs 90 >= north > south >= -90";
  return "";
}

std::string members_complaint(const std::string& members) {
  if (members == "single" || members == "mean") return "";
  int number = 0;
  const auto [end, error] = std::from_chars(members.data(), members.data() + members.size(), number);
  if (error == std::errc() && end == members.data() + members.size() && number >= 0) return "";
  return "expected single, mean, or the number of a member";
}

}  // namespace

std::pair<std::string, std::string> split_assignment(const std::string& text, const std::string& key) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    fail(ErrorKind::usage, "{}: '{}' is not of the form NAME=VALUE", key, text);
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void describe(config::Table& table, SourceConfig& config) {
  table.key("path", config.path, "Files, Zarr folders or globs (`data/*.nc`); the kind is told from the content")
      .required()
      .at_least(1);
  table.key("variables", config.variables, "Names where the file's own are unknown: `NAME_IN_FILE=short name`");
  table.key("units", config.units, "Units to believe where the file's are missing or wrong: `NAME_IN_FILE=unit`");
  table.check("variables", [&config] {
    return complaint([&config] {
      for (const std::string& text : config.variables) variable(split_assignment(text, "variables").second);
    });
  });
  table.check("units", [&config] {
    return complaint([&config] {
      for (const std::string& text : config.units) split_assignment(text, "units");
    });
  });
}

void describe(config::Table& table, StatisticsConfig& config) {
  table.key("start", config.start, "First time of the training period (default: the archive's first)");
  table.key("end", config.end, "Last time of the training period (default: the archive's last)");
  table.key("tendencies", config.tendencies,
            "Steps of tendency statistics (default: the step, 6h, 12h and 24h where they fit)");
  table.check("end", [&config] {
    return config.start && config.end && *config.end < *config.start ? "lies before 'start'" : "";
  });
  table.check("tendencies", [&config] {
    return std::ranges::any_of(config.tendencies, [](Duration d) { return d.count() <= 0; }) ? "steps are positive"
                                                                                             : "";
  });
}

void describe(config::Table& table, IngestConfig& config) {
  table.list("sources", config.sources,
             "Where the fields come from; a field is taken from the first source that has it; default: what simulate "
             "wrote");
  table
      .key("preset", config.preset,
           "Channel list of a published model: fengwu (69 channels), fengwu-ghr (74), or empty")
      .one_of({"", "fengwu", "fengwu-ghr"});
  table.key("variables", config.variables,
            "Variables by short name; those on pressure levels are taken on each of `levels`");
  table.key("levels", config.levels, "Pressure levels in hPa, in the order of the archive");
  table.key("channels", config.channels, "Single channels: `z500`, `2t`");
  table.key("statics", config.statics, "Fields that do not depend on time: `orog`, `lsm`");
  table.key("start", config.start, "First time (default: the sources' first)");
  table.key("end", config.end, "Last time (default: the sources' last)");
  table.key("step", config.step, "Spacing of times (default: the smallest spacing in the sources)");
  table.key("area", config.area, "North, west, south, east in degrees; empty: everything");
  table.key("grid", config.grid, "Target grid, such as `latlon 181x360` or `gaussian 48x96`; empty: the sources' own");
  table.key("method", config.method, "Regridding: winds go as vectors")
      .one_of({"nearest", "bilinear", "conservative", "conservative2"});
  table.key("kept_bits", config.kept_bits, "Mantissa bits kept in the archive").range(1, 23);
  table.key("kept_bits_of", config.kept_bits_of, "Other numbers of bits: `variable=bits`");
  table.key("members", config.members,
            "Of ensemble sources: single (an error if there are several), mean, or a member's number");
  table.key("accumulation", config.accumulation, "Period of accumulated variables (default: the step)");
  table.key("missing", config.missing, "Times that the sources are known to lack");
  table.key("range_check", config.range_check, "Values outside a variable's physical range are an error");
  table.key("fill", config.fill, "Value for missing points: `variable=value`; other variables must have none");
  table
      .key("finite_fraction", config.finite_fraction,
           "Least share of points that a field of a filled variable must have")
      .range(0, 1);
  table.section("statistics", config.statistics, "Statistics for normalisation");
  table
      .key("unit_bytes", config.unit_bytes,
           "Bytes of floats in one work unit, which becomes one file; 0: a 64th of all, 32 MiB to 4 GiB")
      .range(0, 1e15);
  table.key("tile_rows", config.tile_rows, "Grid rows of a chunk; 0: chosen from the grid").range(0, 1e6);
  table.key("compression_level", config.compression_level, "Level of zstd").range(1, 19);
  table.key("restart", config.restart, "Replace an archive that was made with another configuration");

  table.check("end", [&config] {
    return config.start && config.end && *config.end < *config.start ? "lies before 'start'" : "";
  });
  table.check("step", [&config] { return config.step && config.step->count() <= 0 ? "must be positive" : ""; });
  table.check("accumulation",
              [&config] { return config.accumulation && config.accumulation->count() <= 0 ? "must be positive" : ""; });
  table.check("area", [&config] { return area_complaint(config.area); });
  table.check("members", [&config] { return members_complaint(config.members); });
  table.check("grid",
              [&config] { return config.grid.empty() ? "" : complaint([&config] { Grid::parse(config.grid); }); });
  table.check("", [&config] { return complaint([&config] { configured_channels(config); }); });
  table.check("statics", [&config] { return complaint([&config] { configured_statics(config); }); });
  table.check("kept_bits_of", [&config] { return complaint([&config] { configured_bits(config, {}); }); });
  table.check("fill", [&config] { return complaint([&config] { configured_fill(config, {}); }); });
}

std::vector<Channel> configured_channels(const IngestConfig& config) {
  std::vector<Channel> channels;
  if (!config.preset.empty()) channels = channel_preset(config.preset);
  for (const std::string& name : config.variables) {
    const Variable& info = variable(name);
    if (info.is_static)
      fail(ErrorKind::usage, "variables: '{}' does not depend on time: list it under 'statics'", name);
    if (info.level_kind != LevelKind::pressure) {
      channels.push_back({info.short_name, 0});
      continue;
    }
    if (config.levels.empty())
      fail(ErrorKind::usage, "variables: '{}' is on pressure levels, but 'levels' is empty", name);
    for (const int level : config.levels) channels.push_back(parse_channel(info.short_name + std::to_string(level)));
  }
  for (const std::string& name : config.channels) {
    channels.push_back(parse_channel(name));
    if (channels.back().info().is_static) {
      fail(ErrorKind::usage, "channels: '{}' does not depend on time: list it under 'statics'", name);
    }
  }
  if (channels.empty()) fail(ErrorKind::usage, "no channels: give 'preset', 'variables' or 'channels'");
  for (std::size_t i = 0; i < channels.size(); ++i) {
    if (std::find(channels.begin(), channels.begin() + static_cast<std::ptrdiff_t>(i), channels[i]) !=
        channels.begin() + static_cast<std::ptrdiff_t>(i)) {
      fail(ErrorKind::usage, "channel {} is asked for twice", channels[i].name());
    }
  }
  return channels;
}

std::vector<Channel> configured_statics(const IngestConfig& config) {
  std::vector<Channel> statics;
  for (const std::string& name : config.statics) {
    statics.push_back(parse_channel(name));
    if (!statics.back().info().is_static) fail(ErrorKind::usage, "statics: '{}' depends on time", name);
    if (std::count(statics.begin(), statics.end(), statics.back()) > 1) {
      fail(ErrorKind::usage, "statics: {} is asked for twice", name);
    }
  }
  return statics;
}

std::vector<int> configured_bits(const IngestConfig& config, const std::vector<Channel>& channels) {
  std::vector<int> bits(channels.size(), config.kept_bits);
  for (const std::string& text : config.kept_bits_of) {
    const auto [name, number] = split_assignment(text, "kept_bits_of");
    const double value = parse_value(number, "kept_bits_of");
    if (value < 1 || value > 23 || value != std::floor(value)) {
      fail(ErrorKind::usage, "kept_bits_of: '{}': whole numbers from 1 to 23 wanted", text);
    }
    const std::string& short_name = variable(name).short_name;
    for (std::size_t c = 0; c < channels.size(); ++c) {
      if (channels[c].variable == short_name) bits[c] = static_cast<int>(value);
    }
  }
  return bits;
}

std::vector<std::optional<float>> configured_fill(const IngestConfig& config, const std::vector<Channel>& channels) {
  std::vector<std::optional<float>> fill(channels.size());
  for (const std::string& text : config.fill) {
    const auto [name, number] = split_assignment(text, "fill");
    const auto value = static_cast<float>(parse_value(number, "fill"));
    const std::string& short_name = variable(name).short_name;
    for (std::size_t c = 0; c < channels.size(); ++c) {
      if (channels[c].variable == short_name) fill[c] = value;
    }
  }
  return fill;
}

}  // namespace zonda::ingest
