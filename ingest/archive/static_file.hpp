#pragma once
// `static.h5`: fields that do not depend on time, each a contiguous dataset `/<name> [lat, lon]`.
#include <filesystem>
#include <span>
#include <vector>

#include "ingest/archive/manifest.hpp"

namespace zonda::ingest {

struct StaticFile {
  std::vector<StaticRecord> records;
  std::uint32_t crc32c = 0;
};

/// `values [static channel, lat, lon]`, kept with all bits. Atomic. Throws Error(failure).
StaticFile write_static_file(const std::filesystem::path& path, const Grid& grid, std::span<const Channel> channels,
                             std::span<const float> values);

}  // namespace zonda::ingest
