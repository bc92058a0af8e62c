#pragma once
// The archive: a folder of HDF5 files with `/fields [time, channel, lat, lon]`, described by `archive.json`.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"

namespace zonda::ingest {

struct Manifest;

/// Per channel over the training period; tendencies x(t + d) - x(t) for each step d that was asked for.
struct Statistics {
  Time first, last;                                                     ///< the training period
  std::vector<double> mean, stddev, minimum, maximum, finite_fraction;  ///< [channel]
  struct Tendency {
    std::vector<double> mean, stddev;  ///< [channel]
  };
  std::map<Duration, Tendency> tendencies;
};

/// Read access for any number of threads; holds an index of chunk offsets, no fields.
class ArchiveReader {
 public:
  /// Throws Error(data): no archive, unfinished (says which units are missing), another version.
  explicit ArchiveReader(const std::filesystem::path& directory);
  /// Before `archive.json` is there: what the journal knows (to finalise, to verify).
  ArchiveReader(const std::filesystem::path& directory, Manifest manifest);

  const Grid& grid() const;
  const std::vector<Channel>& channels() const;
  const std::vector<Time>& times() const;  ///< ascending; gaps only where the recipe declared them
  Duration step() const;                   ///< the regular spacing of times
  std::optional<std::size_t> find_time(Time time) const;

  /// Static fields (orography, land-sea mask ...): `[lat, lon]` each, read from their file anew at each call.
  const std::vector<Channel>& static_channels() const;
  std::vector<float> static_field(std::size_t index) const;
  /// Rows [row_begin, row_end) of one: `out [row, lon]`.
  void read_static(std::size_t index, std::size_t row_begin, std::size_t row_end, std::span<float> out) const;

  const Statistics& statistics() const;
  /// SHA-256 over the manifest and every unit's checksum: the identity of this training data.
  const std::string& identity() const;

  /// Rows [row_begin, row_end) of all channels at one time: `out [channel, row_end - row_begin, lon]`. Thread safe, no
  /// HDF5 lock: pread of whole chunks, checksum, decompression. Throws Error(data) naming file, time, channels and
  /// chunk on a damaged chunk.
  void read(std::size_t time_index, std::size_t row_begin, std::size_t row_end, std::span<float> out) const;
  /// One channel of it: `out [row_end - row_begin, lon]`.
  void read_channel(std::size_t time_index, std::size_t channel, std::size_t row_begin, std::size_t row_end,
                    std::span<float> out) const;
  /// Bytes of chunks, as they are stored, that this reader and its copies took from files so far.
  std::uint64_t bytes_read() const;

 private:
  struct Index;
  std::shared_ptr<const Index> index_;
};

}  // namespace zonda::ingest
