#pragma once
// Files named by patterns.
#include <filesystem>
#include <string>
#include <vector>

namespace zonda::ingest {

/// The paths that match a shell pattern (`data/*.nc`, `{a,b}/*.grib2`, `~/x`), sorted. Throws Error(data) if none does.
std::vector<std::filesystem::path> match_pattern(const std::string& pattern);

}  // namespace zonda::ingest
