#pragma once
// GRIB 1 and 2 files as a source.
#include <filesystem>
#include <memory>

#include "ingest/sources/source.hpp"

namespace zonda::ingest {

/// Indexes all messages once; a read takes its message alone from the file. Messages of unknown variables, of layers
/// and of grids without rows and columns (lambert, reduced_gg) are listed in ignored(). A forecast's amounts since its
/// start are offered as amounts between its steps as well (0-12 h less 0-6 h: 6-12 h). Throws Error(data): a damaged
/// message (number and byte offset), or no field that could be named.
std::unique_ptr<Source> open_grib(const std::filesystem::path& path, const NameMapping& mapping);

}  // namespace zonda::ingest
