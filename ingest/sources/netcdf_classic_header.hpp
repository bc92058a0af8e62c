#pragma once
// The header of a NetCDF classic file (CDF-1, CDF-2, CDF-5), read for one purpose: how long the file must be. The
// NetCDF library reads beyond the end of a truncated classic file as zeros, without an error.
#include <cstdint>
#include <filesystem>

namespace zonda::ingest {

/// Bytes that a classic file of this header must have at least. Throws Error(data) naming the file where the header
/// itself is broken.
std::uint64_t netcdf_classic_length(const std::filesystem::path& path);

}  // namespace zonda::ingest
