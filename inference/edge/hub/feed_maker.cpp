#include "inference/edge/hub/feed_maker.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "inference/bundle/bundle.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "ingest/regrid/region_regridder.hpp"
#include "ingest/sources/source.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;

namespace {

/// A host's channels on the region one after another, winds by pairs; `read(channel, field)` gives one on the host's
/// grid, which `grid_of(channel)` is.
template <class GridOf, class Read>
std::vector<float> region_state(const FeedDemand& demand, const std::string& host, GridOf grid_of, Read read) {
  std::vector<float> state(demand.channels.size() * demand.grid.size()), field, partner;
  std::optional<std::pair<Grid, ingest::RegionRegridder>> known;
  const auto regridder = [&](const Grid& grid) -> const ingest::RegionRegridder& {
    if (!known || !(known->first == grid)) known.emplace(grid, ingest::RegionRegridder(grid, demand.grid, host));
    return known->second;
  };
  const auto place = [&](std::size_t c) {
    return std::span(state).subspan(c * demand.grid.size(), demand.grid.size());
  };
  std::vector<bool> done(demand.channels.size());
  if (demand.grid.projection())
    for (const WindPair& pair : wind_pairs(demand.channels)) {
      read(demand.channels[pair.eastward], field);
      read(demand.channels[pair.northward], partner);
      regridder(grid_of(demand.channels[pair.eastward]))
          .wind(field, partner, place(pair.eastward), place(pair.northward));
      done[pair.eastward] = done[pair.northward] = true;
    }
  for (std::size_t c = 0; c < demand.channels.size(); ++c) {
    if (done[c]) continue;
    read(demand.channels[c], field);
    regridder(grid_of(demand.channels[c])).scalar(field, place(c));
  }
  return state;
}

std::vector<float> state_of_archive(const ingest::ArchiveReader& archive, const FeedDemand& demand, Time time,
                                    const fs::path& path) {
  const auto at = archive.find_time(time);
  if (!at) fail(ErrorKind::data, "{}: no state at {}", path.string(), to_string(time));
  return region_state(
      demand, path.string(), [&](const Channel&) { return archive.grid(); },
      [&](const Channel& channel, std::vector<float>& field) {
        const auto index = find_channel(archive.channels(), channel);
        if (!index) fail(ErrorKind::data, "{}: no channel {}", path.string(), channel.name());
        field.resize(archive.grid().size());
        archive.read_channel(*at, *index, 0, archive.grid().nlat(), field);
      });
}

std::vector<float> state_of_source(const ingest::Source& source, const FeedDemand& demand, Time time) {
  return region_state(
      demand, source.describe(), [&](const Channel& channel) { return source.grid(channel); },
      [&](const Channel& channel, std::vector<float>& field) {
        const auto keys = source.fields_of(channel);
        const auto key = std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return k.valid_time == time; });
        if (key == keys.end())
          fail(ErrorKind::data, "{}: no {} at {}", source.describe(), channel.name(), to_string(time));
        field.resize(source.grid(channel).size());
        source.read(*key, field);
      });
}

}  // namespace

FeedDemand FeedDemand::of_bundle(const fs::path& path, const std::string& region) {
  const auto bundle = inference::Bundle::open(path, inference::Verify::lengths);
  const auto& manifest = bundle.manifest();
  if (manifest.region.boundary_width < 1)
    fail(ErrorKind::data, "{}: a global model, which needs no boundary", path.string());
  FeedDemand demand{region, Grid::parse(manifest.region.grid), {}, manifest.region.boundary_width, {}};
  try {
    for (const auto& channel : manifest.layout.at("channels"))
      demand.channels.push_back(parse_channel(channel.at("name").get<std::string>()));
    demand.step = Duration(manifest.layout.at("steps_seconds").at(0).get<std::int64_t>());
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, "{}: manifest.json: layout: {}", path.string(), error.what());
  }
  return demand;
}

BoundaryFeed make_feed(const fs::path& forecast, const fs::path& states, const FeedDemand& demand, double precision) {
  const auto source = ingest::open_source(forecast);
  const auto keys = source->fields_of(demand.channels.at(0));
  if (keys.empty()) fail(ErrorKind::data, "{}: no channel {}", forecast.string(), demand.channels.at(0).name());
  if (!keys.front().reference_time)
    fail(ErrorKind::data, "{}: not a forecast: it does not say when it starts", forecast.string());
  const Time cycle = *keys.front().reference_time;
  std::set<Time> times;
  for (const auto& key : keys)
    if (key.valid_time > cycle) times.insert(key.valid_time);
  if (times.empty()) fail(ErrorKind::data, "{}: no lead beyond the initial time", forecast.string());

  BoundaryFeed feed{demand.grid, demand.channels, demand.ring_width, cycle, demand.step, {}};
  feed.region = demand.region;
  feed.host = sha256_file(forecast);
  if (fs::exists(states / "archive.json")) {
    const ingest::ArchiveReader archive(states);
    feed.previous = state_of_archive(archive, demand, cycle - demand.step, states);
    feed.current = state_of_archive(archive, demand, cycle, states);
  } else {
    const auto analyses = ingest::open_source(states);
    feed.previous = state_of_source(*analyses, demand, cycle - demand.step);
    feed.current = state_of_source(*analyses, demand, cycle);
  }
  const auto cells = ring_cells(demand.grid.nlat(), demand.grid.nlon(), demand.ring_width);
  const std::size_t points = demand.grid.size();
  for (Duration lead = demand.step; cycle + lead <= *times.rbegin(); lead += demand.step) {
    if (!times.contains(cycle + lead))
      fail(ErrorKind::data, "{}: lead {} is missing; the model steps by {}: forecast.output_step={}", forecast.string(),
           to_string(lead), to_string(demand.step), to_string(demand.step));
    const std::vector<float> state = state_of_source(*source, demand, cycle + lead);
    for (std::size_t c = 0; c < demand.channels.size(); ++c)
      for (const std::size_t cell : cells) feed.strips.push_back(state[c * points + cell]);
    feed.leads.push_back(lead);
  }
  if (precision > 0) round_feed(feed, precision);
  return feed;
}

}  // namespace zonda::edge
