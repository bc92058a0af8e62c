#pragma once
// The boundary feed: what a regional model needs of its host for one cycle - the state it starts from and the strip
// along its edge at each step. One small file a cycle and region; it reaches as far as its last lead.
//
// File: `ZONDAFD1`, header length and CRC-32C of the header (u32 each, little-endian), header (JSON), then the blocks
// `previous`, `current` and one a lead, each a zstd frame of fp32 in byte planes with its CRC-32C in the header.
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"

namespace zonda::edge {

/// Cells of the ring of a grid: those nearer than `width` cells to the edge, in row-major order.
std::size_t ring_size(std::size_t nlat, std::size_t nlon, int width);
/// Their indices in a field [lat, lon], ascending.
std::vector<std::size_t> ring_cells(std::size_t nlat, std::size_t nlon, int width);

/// Winds are true eastward and northward ones, on projected grids too.
struct BoundaryFeed {
  Grid grid;                      ///< of the region
  std::vector<Channel> channels;  ///< those of the model, in its order
  int ring_width = 8;             ///< cells
  Time cycle{};                   ///< t: the initial time
  Duration step{0};               ///< d: the states are at t - d and t
  std::vector<Duration> leads;    ///< of the strips: d, 2d, ..., without a gap
  std::vector<float> previous{};  ///< state at t - d, [channel, lat, lon], SI
  std::vector<float> current{};   ///< state at t, [channel, lat, lon], SI
  std::vector<float> strips{};    ///< [lead, channel, ring cell], SI
  std::string region{};           ///< its name
  std::string host{};             ///< identity of the model that made the strips

  std::size_t ring() const { return ring_size(grid.nlat(), grid.nlon(), ring_width); }
  /// Strip of one lead, [channel, ring cell].
  std::span<const float> strip(std::size_t lead) const {
    return std::span(strips).subspan(lead * channels.size() * ring(), channels.size() * ring());
  }
  /// The last time it forces.
  Time reach() const { return leads.empty() ? cycle : cycle + leads.back(); }
};

/// Rounds each channel to a multiple of the power of two that is at most `precision` standard deviations of its present
/// state: errors are at most half of that, and bytes that compress. Channels without variation stay as they are.
void round_feed(BoundaryFeed& feed, double precision);

/// The file's bytes; the same feed gives the same. Throws Error(usage) where sizes do not fit one another.
std::string encode_feed(const BoundaryFeed& feed);
/// Strict: sizes follow from the header's shapes and are bounded before anything is allocated; checksums come before
/// decompression. Throws Error(data) naming `name` and what is wrong.
BoundaryFeed decode_feed(std::string_view bytes, const std::string& name);

/// Atomically. Throws Error(failure).
void write_feed(const std::filesystem::path& path, const BoundaryFeed& feed);
BoundaryFeed read_feed(const std::filesystem::path& path);

/// What a feed may hold at most; larger ones are refused by both sides.
struct FeedLimits {
  static constexpr std::size_t header_bytes = 1 << 20, channels = 1024, leads = 2048, points = 1 << 22;
  static constexpr std::size_t values = std::size_t{1} << 29;  ///< of all blocks together
};

}  // namespace zonda::edge
