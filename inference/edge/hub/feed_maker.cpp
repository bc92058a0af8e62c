#include "inference/edge/hub/feed_maker.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <set>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "inference/bundle/bundle.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "ingest/sources/source.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;

namespace {

/// Where a region lies in a host's grid.
Grid::Window window_of(const Grid& host, const Grid& region, const std::string& name) {
  const double slack = 1e-4;
  const auto window = host.window(region.latitudes().front() + slack, region.latitudes().back() - slack,
                                  region.longitudes().front() - slack, region.longitudes().back() + slack);
  const Grid part = host.sub_grid(window);
  bool equal = part.nlat() == region.nlat() && part.nlon() == region.nlon();
  for (std::size_t i = 0; equal && i < part.nlat(); ++i)
    equal = std::abs(part.latitudes()[i] - region.latitudes()[i]) < slack;
  for (std::size_t i = 0; equal && i < part.nlon(); ++i)
    equal = std::abs(std::remainder(part.longitudes()[i] - region.longitudes()[i], 360.0)) < slack;
  if (!equal) fail(ErrorKind::data, "{}: {} is not a part of its grid {}", name, region.to_string(), host.to_string());
  return window;
}

/// `field [lat, lon]` of a host -> the window's, appended.
void append_window(std::span<const float> field, const Grid& host, const Grid::Window& window,
                   std::vector<float>& out) {
  for (std::size_t row = 0; row < window.rows; ++row)
    for (std::size_t column = 0; column < window.columns; ++column)
      out.push_back(field[(window.first_row + row) * host.nlon() + (window.first_column + column) % host.nlon()]);
}

std::vector<float> state_of_archive(const ingest::ArchiveReader& archive, const FeedDemand& demand, Time time,
                                    const fs::path& path) {
  const auto at = archive.find_time(time);
  if (!at) fail(ErrorKind::data, "{}: no state at {}", path.string(), to_string(time));
  const Grid::Window window = window_of(archive.grid(), demand.grid, path.string());
  std::vector<float> state, field(archive.grid().size());
  for (const Channel& channel : demand.channels) {
    const auto index = find_channel(archive.channels(), channel);
    if (!index) fail(ErrorKind::data, "{}: no channel {}", path.string(), channel.name());
    archive.read_channel(*at, *index, 0, archive.grid().nlat(), field);
    append_window(field, archive.grid(), window, state);
  }
  return state;
}

std::vector<float> state_of_source(const ingest::Source& source, const FeedDemand& demand, Time time) {
  std::vector<float> state, field;
  for (const Channel& channel : demand.channels) {
    const auto keys = source.fields_of(channel);
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return k.valid_time == time; });
    if (key == keys.end()) fail(ErrorKind::data, "{}: no {} at {}", source.describe(), channel.name(), to_string(time));
    const Grid host = source.grid(channel);
    field.resize(host.size());
    source.read(*key, field);
    append_window(field, host, window_of(host, demand.grid, source.describe()), state);
  }
  return state;
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
