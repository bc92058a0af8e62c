#include "ingest/archive/layout_json.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace zonda::ingest {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostTimes = 100'000'000;

Json encode_layout(const ArchiveLayout& layout) {
  Json channels = Json::array();
  for (const Channel& channel : layout.channels) channels.push_back(channel.name());
  return {{"grid", layout.grid.to_string()},
          {"channels", channels},
          {"kept_mantissa_bits", layout.kept_bits},
          {"chunk", {{"rows", layout.tiling.tile_rows}, {"channels", layout.tiling.group_channels}}},
          {"compression_level", layout.compression_level}};
}

ArchiveLayout decode_layout(const Json& json) {
  std::vector<Channel> channels;
  for (const Json& name : json.at("channels")) channels.push_back(parse_channel(name.get<std::string>()));
  const Grid grid = Grid::parse(json.at("grid").get<std::string>());
  const auto rows = json.at("chunk").at("rows").get<std::size_t>(),
             group = json.at("chunk").at("channels").get<std::size_t>();
  const std::size_t count = channels.size();
  if (count == 0 || rows == 0 || rows > grid.nlat() || group == 0 || group > count) {
    fail(ErrorKind::data, "chunks of {} channels and {} rows do not fit {} channels on {}", group, rows, count,
         grid.to_string());
  }
  ArchiveLayout layout{grid,
                       std::move(channels),
                       json.at("kept_mantissa_bits").get<std::vector<int>>(),
                       {count, grid.nlat(), grid.nlon(), rows, group},
                       json.at("compression_level").get<int>()};
  if (layout.kept_bits.size() != count) fail(ErrorKind::data, "kept bits of {} channels wanted", count);
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

TimeAxis decode_axis(const Json& json) {
  TimeAxis axis{parse_time(json.at("first").get<std::string>()),
                parse_time(json.at("last").get<std::string>()),
                parse_duration(json.at("step").get<std::string>()),
                {}};
  for (const Json& time : json.at("missing")) axis.missing.push_back(parse_time(time.get<std::string>()));
  if (axis.step.count() <= 0 || axis.last < axis.first || (axis.last - axis.first) / axis.step >= kMostTimes) {
    fail(ErrorKind::data, "the times make no sense");
  }
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
