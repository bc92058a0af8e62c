#pragma once
// NetCDF classic, 64-bit and NetCDF-4/HDF5 files through NetCDF-C.
#include <filesystem>
#include <memory>

#include "ingest/sources/cf_dataset.hpp"

namespace zonda::ingest {

/// The root group of a file. Neither NetCDF-C nor HDF5 is thread safe: all calls of this process are serialised, and at
/// most 64 files are kept open at a time. Throws Error(data): not readable, truncated (with expected and found bytes).
std::unique_ptr<CfDataset> open_netcdf(const std::filesystem::path& path);

}  // namespace zonda::ingest
