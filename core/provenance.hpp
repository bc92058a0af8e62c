#pragma once
// Provenance: who made a file, from what, with which configuration.
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace zonda {

/// Version of the code: `0.1.0+git.abc1234`, with `.dirty` where the tree had changes at configure time.
std::string code_version();
/// Compiler, build type, libraries: one line.
std::string build_description();
/// `2026-01-01T00:00:00Z zonda 0.1.0 forecast` for a NetCDF file's `history`. Honours SOURCE_DATE_EPOCH, so that files
/// can be compared byte for byte.
std::string history_line(std::string_view stage);
/// Host, user-independent facts of this process: {version, build, host, slurm: {...}, ranks}.
nlohmann::json provenance_record(int ranks);
/// Peak resident memory of this process so far, bytes.
std::size_t peak_resident_bytes();

}  // namespace zonda
