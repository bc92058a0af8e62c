#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "ingest/pipeline/field_catalogue.hpp"
#include "ingest/pipeline/ingest.hpp"
#include "ingest/pipeline/time_coverage.hpp"
#include "ingest/sources/path_pattern.hpp"

namespace zonda::ingest {
namespace {

/// The grid of the archive: the target grid or the sources' own, cut to the area.
Grid target_grid(const IngestConfig& config, const FieldCatalogue& catalogue, const std::vector<FieldRecipe>& recipes,
                 const std::vector<Channel>& channels) {
  Grid grid = config.grid.empty() ? catalogue.grid(recipes.front()) : Grid::parse(config.grid);
  for (std::size_t c = 0; config.grid.empty() && c < channels.size(); ++c) {
    const Grid other = catalogue.grid(recipes[c]);
    if (!(other == grid)) {
      fail(ErrorKind::usage, "{} is on {}, but {} is on {}: name a target 'grid'", channels[0].name(), grid.to_string(),
           channels[c].name(), other.to_string());
    }
  }
  if (config.area.empty()) return grid;
  const Grid::Window window = grid.window(config.area[0], config.area[2], config.area[1], config.area[3]);
  if (window.rows == 0 || window.columns == 0)
    fail(ErrorKind::usage, "area: no point of {} lies in it", grid.to_string());
  return grid.sub_grid(window);
}

void estimate(IngestPlan& plan, const FieldCatalogue& catalogue, const std::vector<FieldRecipe>& recipes) {
  const std::uint64_t times = plan.times(), points = plan.layout.grid.size();
  double bits = 0;
  std::uint64_t source_points = 0, terms = 0;
  for (std::size_t c = 0; c < recipes.size(); ++c) {
    // Measured: 10 kept bits leave 4.9 of 32, 13 leave 7.9.
    bits += std::max(1.5, plan.layout.kept_bits[c] - 5.1);
    terms += recipes[c].terms.size() * catalogue.grid(recipes[c]).size();
    source_points = std::max<std::uint64_t>(source_points, catalogue.grid(recipes[c]).size());
  }
  plan.bytes_read = times * terms * sizeof(float);
  plan.bytes_on_disk = static_cast<std::uint64_t>(static_cast<double>(times * points) * bits / 8);
  // One time on the target grid, its packed chunks, two wind components and their sources, and the codec's buffers.
  const std::uint64_t fields = plan.layout.channels.size() * points;
  plan.memory_per_rank =
      sizeof(float) * (fields + fields / 3 + 2 * points + 4 * source_points) + (std::uint64_t{32} << 20);
}

}  // namespace

std::vector<std::unique_ptr<Source>> open_configured_sources(const IngestConfig& config) {
  std::vector<std::unique_ptr<Source>> sources;
  if (config.sources.empty()) fail(ErrorKind::usage, "ingest.sources: no source; expected at least one");
  for (const SourceConfig& source : config.sources) {
    NameMapping mapping;
    for (const std::string& text : source.variables) {
      const auto [name, short_name] = split_assignment(text, "sources.variables");
      mapping.variables[name] = variable(short_name).short_name;
    }
    for (const std::string& text : source.units) mapping.units.insert(split_assignment(text, "sources.units"));
    std::vector<std::filesystem::path> paths;
    for (const std::string& pattern : source.path) {
      for (std::filesystem::path& path : match_pattern(pattern)) {
        if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(std::move(path));
      }
    }
    sources.push_back(paths.size() == 1 ? open_source(paths.front(), mapping) : open_sources(paths, mapping));
  }
  return sources;
}

IngestPlan plan_ingest(const IngestConfig& config, const OpenSources& open) {
  const std::vector<Channel> channels = configured_channels(config), statics = configured_statics(config);
  const FieldCatalogue catalogue(open(config), config);
  const TimeAxis axis = time_axis(config, catalogue, channels);
  const std::vector<FieldRecipe> recipes = require_coverage(config, catalogue, channels, statics, axis, axis.first);

  const Grid grid = target_grid(config, catalogue, recipes, channels);
  IngestPlan plan{
      {grid, channels, configured_bits(config, channels),
       Tiling::choose(channels.size(), grid.nlat(), grid.nlon(), static_cast<std::size_t>(config.tile_rows)),
       config.compression_level},
      statics,
      axis,
      {},
      {},
      {}};
  plan.units = cut_into_units(axis.times(), 0, channels.size() * grid.size() * sizeof(float),
                              static_cast<std::uint64_t>(config.unit_bytes));
  std::set<std::string> ignored;
  for (const auto& source : catalogue.sources()) {
    plan.sources.push_back(source->describe());
    ignored.insert(source->ignored().begin(), source->ignored().end());
  }
  plan.ignored.assign(ignored.begin(), ignored.end());
  estimate(plan, catalogue, recipes);
  return plan;
}

std::size_t IngestPlan::times() const {
  return units.empty() ? 0 : units.back().first + units.back().count;
}

std::string IngestPlan::to_string() const {
  const auto size = [](std::uint64_t bytes) {
    double value = static_cast<double>(bytes);
    const char* unit = "B";
    for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
      if (value < 1024) break;
      value /= 1024;
      unit = next;
    }
    return fmt::format("{:.{}f} {}", value, value < 10 ? 1 : 0, unit);
  };
  std::string names;
  for (const Channel& channel : layout.channels) names += (names.empty() ? "" : " ") + channel.name();
  for (const Channel& channel : statics) names += " " + channel.name() + " (static)";
  std::string text;
  for (const std::string& source : sources) text += fmt::format("source      {}\n", source);
  if (!ignored.empty()) {
    std::string list;
    for (const std::string& name : ignored) list += (list.empty() ? "" : " ") + name;
    text += fmt::format("ignored     {}\n", list);
  }
  text += fmt::format("grid        {}\n", layout.grid.to_string());
  text += fmt::format("channels    {}: {}\n", layout.channels.size(), names);
  text += fmt::format("times       {} from {} to {} every {}{}\n", times(), zonda::to_string(axis.first),
                      zonda::to_string(axis.last), zonda::to_string(axis.step),
                      axis.missing.empty() ? "" : fmt::format(", {} declared missing", axis.missing.size()));
  text += fmt::format("units       {} of up to {} times\n", units.size(), units.empty() ? 0 : units.front().count);
  text += fmt::format("chunks      {} channels x {} rows x {} columns\n", layout.tiling.group_channels,
                      layout.tiling.tile_rows, layout.tiling.nlon);
  text += fmt::format("to read     {}\n", size(bytes_read));
  text += fmt::format("on disk     {} (estimate)\n", size(bytes_on_disk));
  text += fmt::format("memory      {} a rank\n", size(memory_per_rank));
  return text;
}

}  // namespace zonda::ingest
