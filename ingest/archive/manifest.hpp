#pragma once
// `archive.json`: what an archive holds, with the checksums of its files. Written last; an archive without it is
// unfinished.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "ingest/archive/archive_reader.hpp"
#include "ingest/archive/unit_writer.hpp"

namespace zonda::ingest {

/// `first + k step` up to `last`, without those declared missing.
struct TimeAxis {
  Time first, last;
  Duration step{0};
  std::vector<Time> missing;  ///< ascending
  std::vector<Time> times() const;
};

struct UnitRecord {
  std::string file;          ///< name within the archive's folder
  std::size_t first, count;  ///< its times, as indices into TimeAxis::times()
  UnitFiles files;
};

struct StaticRecord {
  Channel channel;
  std::uint64_t offset;  ///< of the contiguous [lat, lon] floats within static.h5
};

struct Manifest {
  ArchiveLayout layout;
  TimeAxis axis;
  std::vector<UnitRecord> units;  ///< contiguous, in time order
  std::vector<StaticRecord> statics;
  std::uint32_t static_crc32c = 0;  ///< of static.h5, where there are statics
  Statistics statistics;
  std::string provenance;  ///< a JSON object: code, configuration, sources
  std::string identity;    ///< SHA-256 of the manifest without this line, and so over every unit's checksum
};

inline constexpr const char* kManifestName = "archive.json";
inline constexpr const char* kStaticName = "static.h5";

/// The exact bytes of archive.json; sets `identity`.
std::string encode_manifest(Manifest& manifest);
/// Throws Error(data) naming `file`: not a manifest, another version, a wrong checksum, inconsistent content.
Manifest decode_manifest(const std::string& text, const std::string& file);

}  // namespace zonda::ingest
