#include "ingest/archive/tiling.hpp"

#include "core/error.hpp"

namespace zonda::ingest {

Tiling Tiling::choose(std::size_t channels, std::size_t nlat, std::size_t nlon, std::size_t tile_rows) {
  if (channels == 0 || nlat == 0 || nlon == 0) fail(ErrorKind::usage, "an archive needs channels and a grid");
  constexpr std::size_t row_bytes_wanted = 128 << 10, chunk_bytes_wanted = 1 << 20;
  if (tile_rows == 0) {
    tile_rows = 8;
    while (tile_rows * 2 * nlon * sizeof(float) <= row_bytes_wanted) tile_rows *= 2;
  }
  tile_rows = std::min(tile_rows, nlat);
  const std::size_t channel_bytes = tile_rows * nlon * sizeof(float);
  const std::size_t most = std::clamp<std::size_t>(chunk_bytes_wanted / channel_bytes, 1, channels);
  const std::size_t groups = (channels + most - 1) / most;
  return {channels, nlat, nlon, tile_rows, (channels + groups - 1) / groups};
}

}  // namespace zonda::ingest
