#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"
#include "inference/edge/feed/boundary_feed.hpp"

namespace zonda::edge {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "feeds are little-endian");

constexpr std::string_view magic = "ZONDAFD1";
constexpr std::size_t prologue = magic.size() + 2 * sizeof(std::uint32_t);

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string compressed(std::span<const float> values) {
  std::string planes(values.size() * sizeof(float), '\0');
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto word = std::bit_cast<std::uint32_t>(values[i]);
    for (std::size_t p = 0; p < sizeof(float); ++p) planes[p * values.size() + i] = static_cast<char>(word >> (8 * p));
  }
  std::string frame(ZSTD_compressBound(planes.size()), '\0');
  const std::size_t size = ZSTD_compress(frame.data(), frame.size(), planes.data(), planes.size(), 19);
  if (ZSTD_isError(size) != 0U) fail(ErrorKind::failure, "zstd: {}", ZSTD_getErrorName(size));
  frame.resize(size);
  return frame;
}

void decompress(std::string_view frame, std::span<float> values, const std::string& what) {
  std::string planes(values.size_bytes(), '\0');
  if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != planes.size())
    fail(ErrorKind::data, "{}: expected {} bytes in the block", what, planes.size());
  const std::size_t size = ZSTD_decompress(planes.data(), planes.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) != 0U || size != planes.size()) fail(ErrorKind::data, "{}: the block is damaged", what);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint32_t word = 0;
    for (std::size_t p = 0; p < sizeof(float); ++p)
      word |= std::uint32_t{static_cast<unsigned char>(planes[p * values.size() + i])} << (8 * p);
    values[i] = std::bit_cast<float>(word);
    if (!std::isfinite(values[i])) fail(ErrorKind::data, "{}: a value is not finite", what);
  }
}

/// A block of the file: its name, and where its values are.
template <class Feed>
auto blocks(Feed& feed) {
  std::vector<std::pair<std::string, decltype(std::span(feed.current))>> all{{"previous", std::span(feed.previous)},
                                                                             {"current", std::span(feed.current)}};
  const std::size_t strip = feed.channels.size() * feed.ring();
  for (std::size_t lead = 0; lead < feed.leads.size(); ++lead)
    all.emplace_back("strip " + to_string(feed.leads[lead]), std::span(feed.strips).subspan(lead * strip, strip));
  return all;
}

/// The complaint about sizes or times that do not fit, or "".
std::string misfit(const BoundaryFeed& feed) {
  if ((feed.grid.kind() != GridKind::regional && !feed.grid.projection()) || feed.grid.periodic())
    return fmt::format("grid: expected a region with four sides, found {}", feed.grid.to_string());
  if (feed.grid.size() > FeedLimits::points) return fmt::format("grid: more than {} points", FeedLimits::points);
  if (feed.channels.empty() || feed.channels.size() > FeedLimits::channels)
    return fmt::format("channels: expected 1 to {}", FeedLimits::channels);
  if (feed.leads.size() > FeedLimits::leads) return fmt::format("leads: more than {}", FeedLimits::leads);
  if (feed.ring_width < 1 ||
      2 * static_cast<std::size_t>(feed.ring_width) >= std::min(feed.grid.nlat(), feed.grid.nlon()))
    return fmt::format("ring_width: {} cells leave no interior on {}", feed.ring_width, feed.grid.to_string());
  if (feed.step <= Duration{0}) return "step: expected a positive duration";
  for (std::size_t i = 0; i < feed.leads.size(); ++i)
    if (feed.leads[i] != feed.step * static_cast<std::int64_t>(i + 1))
      return fmt::format("leads: expected {} as number {}, found {}",
                         to_string(feed.step * static_cast<std::int64_t>(i + 1)), i + 1, to_string(feed.leads[i]));
  const std::size_t of_states = 2 * feed.channels.size() * feed.grid.size();
  if (of_states + feed.leads.size() * feed.channels.size() * feed.ring() > FeedLimits::values)
    return fmt::format("more than {} values", FeedLimits::values);
  return {};
}

BoundaryFeed described(const JsonReader& header) {
  const auto usage_is_data = [&](const std::string& key, auto&& read) {
    try {
      return read();
    } catch (const Error& error) {
      fail(ErrorKind::data, "{}: {}", header.name(key), error.what());
    }
  };
  if (!header.text("grid").starts_with("regional ") && !header.text("grid").starts_with("projected "))
    fail(ErrorKind::data, "{}: expected a regional grid, found '{}'", header.name("grid"), header.text("grid"));
  BoundaryFeed feed{usage_is_data("grid", [&] { return Grid::parse(header.text("grid")); }), {}, 0, {}, {}, {}};
  for (const std::string& channel : header.texts("channels", FeedLimits::channels))
    feed.channels.push_back(usage_is_data("channels", [&] { return parse_channel(channel); }));
  feed.ring_width = static_cast<int>(header.integer("ring_width", 1, 1 << 16));
  feed.cycle = usage_is_data("cycle", [&] { return parse_time(header.text("cycle")); });
  feed.step = usage_is_data("step", [&] { return parse_duration(header.text("step")); });
  for (const std::string& lead : header.texts("leads", FeedLimits::leads))
    feed.leads.push_back(usage_is_data("leads", [&] { return parse_duration(lead); }));
  feed.region = header.text("region");
  feed.host = header.text("host");
  return feed;
}

}  // namespace

std::string encode_feed(const BoundaryFeed& feed) {
  const std::size_t of_state = feed.channels.size() * feed.grid.size();
  const std::size_t of_strips = feed.leads.size() * feed.channels.size() * feed.ring();
  if (const std::string complaint = misfit(feed); !complaint.empty())
    fail(ErrorKind::usage, "boundary feed: {}", complaint);
  if (feed.previous.size() != of_state || feed.current.size() != of_state || feed.strips.size() != of_strips)
    fail(ErrorKind::usage, "boundary feed: expected {} values a state and {} of strips, found {}, {} and {}", of_state,
         of_strips, feed.previous.size(), feed.current.size(), feed.strips.size());
  json header{{"cycle", to_string(feed.cycle)}, {"step", to_string(feed.step)}, {"ring_width", feed.ring_width},
              {"grid", feed.grid.to_string()},  {"region", feed.region},        {"host", feed.host},
              {"leads", json::array()},         {"channels", json::array()},    {"blocks", json::array()},
              {"schema", "zonda.feed.1"}};
  for (const Channel& channel : feed.channels) header["channels"].push_back(channel.name());
  for (const Duration lead : feed.leads) header["leads"].push_back(to_string(lead));
  std::string body;
  for (const auto& [name, values] : blocks(feed)) {
    for (const float value : values)
      if (!std::isfinite(value)) fail(ErrorKind::data, "boundary feed: {}: a value is not finite", name);
    const std::string frame = compressed(values);
    header["blocks"].push_back({{"name", name}, {"bytes", frame.size()}, {"crc32c", crc32c(bytes_of(frame))}});
    body += frame;
  }
  const std::string text = header.dump();
  std::string file(magic);
  for (const std::uint32_t number : {static_cast<std::uint32_t>(text.size()), crc32c(bytes_of(text))})
    file.append(reinterpret_cast<const char*>(&number), sizeof number);
  return file + text + body;
}

BoundaryFeed decode_feed(std::string_view bytes, const std::string& name) {
  if (!bytes.starts_with(magic)) fail(ErrorKind::data, "{}: not a boundary feed", name);
  if (bytes.size() < prologue) fail(ErrorKind::data, "{}: cut off in its first bytes", name);
  std::uint32_t length = 0, checksum = 0;
  std::memcpy(&length, bytes.data() + magic.size(), sizeof length);
  std::memcpy(&checksum, bytes.data() + magic.size() + sizeof length, sizeof checksum);
  if (length > FeedLimits::header_bytes || length > bytes.size() - prologue)
    fail(ErrorKind::data, "{}: a header of {} bytes in a file of {}", name, length, bytes.size());
  const std::string_view text = bytes.substr(prologue, length);
  if (crc32c(bytes_of(text)) != checksum) fail(ErrorKind::data, "{}: the header's checksum is wrong", name);
  const json parsed = parse_json(text, name, 8);
  const JsonReader header(parsed, name);
  if (header.text("schema") != "zonda.feed.1")
    fail(ErrorKind::data, "{}: schema '{}', expected zonda.feed.1", name, header.text("schema"));
  BoundaryFeed feed = described(header);
  if (const std::string complaint = misfit(feed); !complaint.empty()) fail(ErrorKind::data, "{}: {}", name, complaint);

  const json& table = header.array("blocks", FeedLimits::leads + 2);
  if (table.size() != feed.leads.size() + 2)
    fail(ErrorKind::data, "{}: expected {} blocks, found {}", name, feed.leads.size() + 2, table.size());
  // Every checksum first, so that memory is given only to what the writer wrote.
  std::vector<std::string_view> frames;
  std::string_view rest = bytes.substr(prologue + length);
  for (std::size_t i = 0; i < table.size(); ++i) {
    const JsonReader block(table[i], fmt::format("{}: block {}", name, i));
    const auto size = static_cast<std::size_t>(block.integer("bytes", 0, INT64_MAX));
    if (size > rest.size())
      fail(ErrorKind::data, "{}: block {} is cut off: {} bytes of {}", name, i, rest.size(), size);
    frames.push_back(rest.substr(0, size));
    rest.remove_prefix(size);
    if (crc32c(bytes_of(frames.back())) != static_cast<std::uint32_t>(block.integer("crc32c", 0, UINT32_MAX)))
      fail(ErrorKind::data, "{}: the checksum of block {} is wrong", name, i);
  }
  if (!rest.empty()) fail(ErrorKind::data, "{}: {} bytes beyond the last block", name, rest.size());

  const std::size_t of_state = feed.channels.size() * feed.grid.size();
  const std::size_t of_strip = feed.channels.size() * feed.ring();
  for (std::size_t i = 0; i < frames.size(); ++i)
    if (ZSTD_getFrameContentSize(frames[i].data(), frames[i].size()) != (i < 2 ? of_state : of_strip) * sizeof(float))
      fail(ErrorKind::data, "{}: block {} is not of its shape", name, i);
  feed.previous.resize(of_state);
  feed.current.resize(of_state);
  feed.strips.resize(feed.leads.size() * of_strip);
  const auto all = blocks(feed);
  for (std::size_t i = 0; i < all.size(); ++i) decompress(frames[i], all[i].second, name + ": " + all[i].first);
  return feed;
}

void write_feed(const std::filesystem::path& path, const BoundaryFeed& feed) {
  write_file(path, encode_feed(feed));
}

BoundaryFeed read_feed(const std::filesystem::path& path) {
  return decode_feed(read_file(path), path.string());
}

}  // namespace zonda::edge
