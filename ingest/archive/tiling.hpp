#pragma once
// How a field collection [channel, lat, lon] of one time is cut into chunks (1, group of channels, rows of a tile,
// nlon).
#include <algorithm>
#include <cstddef>

namespace zonda::ingest {

struct Tiling {
  std::size_t channels = 0, nlat = 0, nlon = 0;
  std::size_t tile_rows = 0;       ///< rows of a chunk; the last tile of the grid may have fewer
  std::size_t group_channels = 0;  ///< channels of a chunk; the last group may have fewer

  /// `tile_rows` 0: a power of two (at least 8) near 128 KiB a channel. Groups: about 1 MiB of floats, what a core's
  /// second cache holds, in groups of about equal size.
  static Tiling choose(std::size_t channels, std::size_t nlat, std::size_t nlon, std::size_t tile_rows = 0);

  std::size_t tiles() const { return (nlat + tile_rows - 1) / tile_rows; }
  std::size_t groups() const { return (channels + group_channels - 1) / group_channels; }
  std::size_t chunks() const { return tiles() * groups(); }  ///< of one time
  /// Chunks of one tile follow each other in the file, so a slab of rows is one run of bytes.
  std::size_t chunk(std::size_t tile, std::size_t group) const { return tile * groups() + group; }
  std::size_t chunk_elements() const { return group_channels * tile_rows * nlon; }
  std::size_t first_row(std::size_t tile) const { return tile * tile_rows; }
  std::size_t end_row(std::size_t tile) const { return std::min(nlat, (tile + 1) * tile_rows); }
  std::size_t first_channel(std::size_t group) const { return group * group_channels; }
  std::size_t end_channel(std::size_t group) const { return std::min(channels, (group + 1) * group_channels); }
  friend bool operator==(const Tiling&, const Tiling&) = default;
};

}  // namespace zonda::ingest
