#pragma once
// Writes one work unit: an HDF5 file of contiguous times, and the index of its chunks.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"
#include "ingest/archive/tiling.hpp"

namespace zonda::ingest {

/// What every file of an archive shares.
struct ArchiveLayout {
  Grid grid;
  std::vector<Channel> channels;
  std::vector<int> kept_bits;  ///< [channel], 1..23
  Tiling tiling;
  int compression_level = 1;  ///< of zstd
};

/// What the journal and the manifest keep of a finished unit's files.
struct UnitFiles {
  std::uint64_t bytes = 0;         ///< of the HDF5 file
  std::uint32_t crc32c = 0;        ///< of the HDF5 file
  std::uint32_t index_crc32c = 0;  ///< of the index file
  friend bool operator==(const UnitFiles&, const UnitFiles&) = default;
};

/// `/fields [time, channel, lat, lon]` with dimension scales and CF attributes. Chunks are encoded on the threads
/// OpenMP gives and handed to HDF5 ready-made, so the bytes depend on the values alone. The files appear under their
/// names in close().
class UnitWriter {
 public:
  /// `path` ends in `.h5`; the index goes beside it as `.index`. Throws Error(failure) with HDF5's reason.
  UnitWriter(const std::filesystem::path& path, const ArchiveLayout& layout, std::vector<Time> times);
  ~UnitWriter();
  UnitWriter(const UnitWriter&) = delete;
  UnitWriter& operator=(const UnitWriter&) = delete;
  /// The fields of the next time, `[channel, lat, lon]`; they are rounded in place to the kept bits, so that the caller
  /// sees what a reader will see.
  void write(std::span<float> values);
  /// After the last time. Throws Error(failure) if HDF5 or the disk refuses.
  UnitFiles close();

 private:
  struct File;
  std::unique_ptr<File> file_;
};

/// `fields-1982010100.h5` -> `fields-1982010100.index`
std::filesystem::path index_path(const std::filesystem::path& unit_file);
/// CRC-32C of a whole file, read in pieces. Throws Error(data).
std::uint32_t file_crc32c(const std::filesystem::path& path);

}  // namespace zonda::ingest
