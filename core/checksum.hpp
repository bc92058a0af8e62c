#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace zonda {

/// CRC-32C (Castagnoli), as in iSCSI and in checkpoints. `seed` continues an earlier checksum.
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t seed = 0);
/// Of two pieces of data one after the other, from the checksum of each and the length of the second.
std::uint32_t crc32c_joined(std::uint32_t first, std::uint32_t second, std::uint64_t second_bytes);
/// Lower-case hexadecimal SHA-256.
std::string sha256(std::span<const std::byte> data);
std::string sha256(std::string_view text);
/// Of a file's bytes; of a folder, of its files' relative names and contents in sorted order. Throws Error(data).
std::string sha256_file(const std::filesystem::path& path);

/// SHA-256 of data that comes in pieces.
class Sha256 {
 public:
  Sha256();
  void add(std::span<const std::byte> data);
  /// Lower-case hexadecimal, of all data added so far.
  std::string hexadecimal() const;

 private:
  struct alignas(8) State {
    std::byte bytes[128];
  } state_;
};

}  // namespace zonda
