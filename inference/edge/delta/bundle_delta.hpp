#pragma once
// What makes one bundle out of another: tensors that are equal are taken from the base, others as differences in the
// numbers they are kept as (an int8 matrix changes in few of its bytes where its weights change by a thousandth; the
// same change moves most bits of fp32). Every file comes out byte for byte, and is hashed.
//
// File: `ZONDADL1`, header length and CRC-32C of the header (u32 each, little-endian), header (JSON: identities of both
// bundles; for each file its length, SHA-256 and pieces), then the pieces' zstd frames.
#include <cstdint>
#include <filesystem>
#include <string>

namespace zonda::edge {

struct DeltaSummary {
  std::string base, target;  ///< identities of the bundles
  std::uint64_t bytes = 0;   ///< of the delta
  std::uint64_t bundle_bytes = 0;
  std::size_t equal_tensors = 0, other_tensors = 0;
};

/// Throws Error(data): no bundle, or a damaged one; Error(failure).
DeltaSummary write_delta(const std::filesystem::path& base, const std::filesystem::path& target,
                         const std::filesystem::path& delta);

/// Makes the folder `target`, whole or not at all; returns its identity. Throws Error(data): the delta is damaged,
/// dishonest about sizes, or made for another base; Error(failure).
std::string apply_delta(const std::filesystem::path& base, const std::filesystem::path& delta,
                        const std::filesystem::path& target);

/// What a delta may ask for at most.
struct DeltaLimits {
  static constexpr std::uint64_t header_bytes = std::uint64_t{64} << 20, bundle_bytes = std::uint64_t{16} << 30;
};

}  // namespace zonda::edge
