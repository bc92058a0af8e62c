#include "ingest/archive/layout_json.hpp"

#include <algorithm>
#include <functional>

#include "core/error.hpp"

namespace zonda::ingest {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostTimes = 10'000'000;  // a thousand years by the hour
constexpr std::int64_t kMostChannels = 100'000;

Json encode_layout(const ArchiveLayout& layout) {
  Json channels = Json::array();
  for (const Channel& channel : layout.channels) channels.push_back(channel.name());
  return {{"grid", layout.grid.to_string()},
          {"channels", channels},
          {"kept_mantissa_bits", layout.kept_bits},
          {"chunk", {{"rows", layout.tiling.tile_rows}, {"channels", layout.tiling.group_channels}}},
          {"compression_level", layout.compression_level}};
}

ArchiveLayout decode_layout(const JsonReader& json) {
  std::vector<Channel> channels;
  for (const std::string& name : json.texts("channels", kMostChannels)) channels.push_back(parse_channel(name));
  const Grid grid = Grid::parse(json.text("grid"));
  const std::size_t count = channels.size();
  if (count == 0) fail(ErrorKind::data, "{}: none", json.name("channels"));
  const JsonReader chunk = json.object("chunk");
  const auto rows = static_cast<std::size_t>(chunk.integer("rows", 1, static_cast<std::int64_t>(grid.nlat())));
  const auto group = static_cast<std::size_t>(chunk.integer("channels", 1, static_cast<std::int64_t>(count)));
  ArchiveLayout layout{grid,
                       std::move(channels),
                       {},
                       {count, grid.nlat(), grid.nlon(), rows, group},
                       static_cast<int>(json.integer("compression_level", -131072, 22))};
  for (const std::int64_t bits : json.integers("kept_mantissa_bits", 0, 23, kMostChannels))
    layout.kept_bits.push_back(static_cast<int>(bits));
  if (layout.kept_bits.size() != count)
    fail(ErrorKind::data, "{}: of {} channels, there are {}", json.name("kept_mantissa_bits"), layout.kept_bits.size(),
         count);
  return layout;
}

Json encode_axis(const TimeAxis& axis) {
  Json missing = Json::array();
  for (const Time time : axis.missing) missing.push_back(to_string(time));
  return {{"first", to_string(axis.first)},
          {"last", to_string(axis.last)},
          {"step", to_string(axis.step)},
          {"missing", missing}};
}

TimeAxis decode_axis(const JsonReader& json) {
  TimeAxis axis{parse_time(json.text("first")), parse_time(json.text("last")), parse_duration(json.text("step")), {}};
  if (axis.step.count() <= 0 || axis.last < axis.first || (axis.last - axis.first) / axis.step >= kMostTimes)
    fail(ErrorKind::data, "{}: the times make no sense", json.name("step"));
  for (const std::string& time : json.texts("missing", static_cast<std::size_t>(kMostTimes)))
    axis.missing.push_back(parse_time(time));
  if (std::ranges::adjacent_find(axis.missing, std::greater_equal()) != axis.missing.end())
    fail(ErrorKind::data, "{}: the times do not ascend", json.name("missing"));
  return axis;
}

std::vector<Time> TimeAxis::times() const {
  std::vector<Time> all;
  for (Time time = first; time <= last; time += step) {
    if (!std::binary_search(missing.begin(), missing.end(), time)) all.push_back(time);
  }
  return all;
}

}  // namespace zonda::ingest
