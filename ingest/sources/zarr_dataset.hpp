#pragma once
// A Zarr v2 group in a folder.
#include <filesystem>
#include <memory>

#include "ingest/sources/cf_dataset.hpp"

namespace zonda::ingest {

/// Decoded chunks stay in memory up to `cache_bytes` (least recently used leave first, one chunk always stays), so
/// that reading time by time or level by level decodes each chunk once. Arrays that cannot be read (an unknown codec)
/// are listed with ElementType::other and the reason in their attribute `zonda_problem`.
/// Throws Error(data): no Zarr v2 group, malformed metadata.
std::unique_ptr<CfDataset> open_zarr(const std::filesystem::path& folder, std::size_t cache_bytes = 512u << 20);

}  // namespace zonda::ingest
