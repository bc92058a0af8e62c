#pragma once
// GRIB messages in a file: where each begins and ends, and the single fields within one.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace zonda::ingest {

struct GribMessage {
  std::size_t number;  ///< in the file, from 1
  std::uint64_t offset, length;
};

/// All messages of a file, by their lengths; each must end in `7777`. Between messages only padding and bulletin
/// headers may stand. Throws Error(data) naming file, message number and byte offset of what is damaged.
std::vector<GribMessage> scan_grib(const std::filesystem::path& path);

/// Reads one message. Throws Error(data).
std::vector<std::byte> read_grib_message(const std::filesystem::path& path, const GribMessage& message);

/// The fields of a message, each as a message of its own: GRIB 1 messages and most GRIB 2 messages hold one; GRIB 2
/// allows sections 2-7, 3-7 or 4-7 to repeat (WMO FM 92 GRIB 2, regulation 92.1.6.2). Throws Error(data) where sections
/// do not fit into the message.
std::vector<std::vector<std::byte>> split_grib_fields(std::span<const std::byte> message);

}  // namespace zonda::ingest
