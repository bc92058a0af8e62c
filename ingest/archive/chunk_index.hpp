#pragma once
// Where the chunks of one archive file lie: `fields-*.index`, little-endian, 32 bytes of header and 16 bytes a chunk.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace zonda::ingest {

struct ChunkPlace {
  std::uint64_t offset;  ///< bytes from the start of the file
  std::uint32_t bytes;   ///< compressed
  std::uint32_t crc32c;  ///< of the compressed bytes
};
static_assert(sizeof(ChunkPlace) == 16);

/// The bytes of an index file: `places [time, chunk]`.
std::string encode_chunk_index(std::size_t times, std::size_t chunks, std::span<const ChunkPlace> places);

/// An index mapped into memory, so that ranks of a node share its pages. Copies share the map.
class ChunkIndex {
 public:
  /// Checks size, header and checksum, and that every chunk lies within `file_bytes`. Throws Error(data) naming the
  /// file.
  ChunkIndex(const std::filesystem::path& path, std::size_t times, std::size_t chunks, std::uint64_t file_bytes,
             std::uint32_t crc32c);
  std::span<const ChunkPlace> places() const { return places_; }
  const ChunkPlace& place(std::size_t time, std::size_t chunk) const { return places_[time * chunks_ + chunk]; }

 private:
  std::shared_ptr<const void> map_;
  std::span<const ChunkPlace> places_;
  std::size_t chunks_;
};

}  // namespace zonda::ingest
