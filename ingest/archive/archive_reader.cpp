#include "ingest/archive/archive_reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "ingest/archive/chunk_codec.hpp"
#include "ingest/archive/chunk_index.hpp"
#include "ingest/archive/journal.hpp"
#include "ingest/archive/manifest.hpp"

namespace zonda::ingest {
namespace {

namespace fs = std::filesystem;

/// A file open for reading at places.
class PlacedFile {
 public:
  explicit PlacedFile(const fs::path& path)
      : path_(path.string()), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail(ErrorKind::data, "{}: cannot be opened: {}", path_, std::strerror(errno));
  }
  ~PlacedFile() { ::close(descriptor_); }
  PlacedFile(const PlacedFile&) = delete;
  PlacedFile& operator=(const PlacedFile&) = delete;

  const std::string& path() const { return path_; }

  /// All of [offset, offset + out.size()), or Error(data).
  void read(std::uint64_t offset, std::span<std::byte> out) const {
    while (!out.empty()) {
      const ssize_t got = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail(ErrorKind::data, "{}: reading failed: {}", path_, std::strerror(errno));
      if (got == 0) fail(ErrorKind::data, "{}: ends before byte {}: the file is truncated", path_, offset + out.size());
      offset += static_cast<std::uint64_t>(got);
      out = out.subspan(static_cast<std::size_t>(got));
    }
  }

 private:
  std::string path_;
  int descriptor_;
};

struct OpenUnit {
  PlacedFile file;
  ChunkIndex index;
  OpenUnit(const fs::path& path, const UnitRecord& record, std::size_t chunks)
      : file(path), index(index_path(path), record.count, chunks, record.files.bytes, record.files.index_crc32c) {}
};

/// Units are opened on demand; the longest unused is closed when many are open.
class OpenUnits {
 public:
  OpenUnits(fs::path directory, const Manifest& manifest)
      : directory_(std::move(directory)), manifest_(manifest), units_(manifest.units.size()), used_(units_.size()) {}

  std::shared_ptr<const OpenUnit> get(std::size_t unit) const {
    const std::lock_guard lock(mutex_);
    used_[unit] = ++clock_;
    if (!units_[unit]) {
      if (open_ >= kMostOpen) close_oldest();
      const UnitRecord& record = manifest_.units[unit];
      units_[unit] =
          std::make_shared<const OpenUnit>(directory_ / record.file, record, manifest_.layout.tiling.chunks());
      ++open_;
    }
    return units_[unit];
  }

 private:
  static constexpr std::size_t kMostOpen = 200;

  void close_oldest() const {
    std::size_t oldest = units_.size();
    for (std::size_t i = 0; i < units_.size(); ++i) {
      if (units_[i] && (oldest == units_.size() || used_[i] < used_[oldest])) oldest = i;
    }
    units_[oldest].reset();
    --open_;
  }

  fs::path directory_;
  const Manifest& manifest_;
  mutable std::mutex mutex_;
  mutable std::vector<std::shared_ptr<const OpenUnit>> units_;
  mutable std::vector<std::uint64_t> used_;
  mutable std::uint64_t clock_ = 0;
  mutable std::size_t open_ = 0;
};

Manifest manifest_of(const fs::path& directory) {
  const fs::path path = directory / kManifestName;
  if (!fs::exists(path)) {
    if (!fs::exists(directory / kPlanName)) {
      fail(ErrorKind::data, "{}: there is no archive here: {} is missing", directory.string(), kManifestName);
    }
    const std::vector<std::string> missing = unfinished_units(directory);
    std::string names;
    for (std::size_t i = 0; i < std::min<std::size_t>(missing.size(), 5); ++i) names += (i ? ", " : "") + missing[i];
    if (missing.empty())
      names = "every unit is loaded, but it was not finalised";
    else
      names = fmt::format("{} units are not loaded: {}{}", missing.size(), names, missing.size() > 5 ? ", ..." : "");
    fail(ErrorKind::data, "{}: the archive is unfinished: {}", directory.string(), names);
  }
  return decode_manifest(read_file(path), path.string());
}

/// The file of the static fields; none where the archive has none.
std::unique_ptr<const PlacedFile> open_statics(const fs::path& directory, const Manifest& manifest) {
  if (manifest.statics.empty()) return nullptr;
  auto file = std::make_unique<const PlacedFile>(directory / kStaticName);
  if (file_crc32c(directory / kStaticName) != manifest.static_crc32c) {
    fail(ErrorKind::data, "{}: checksum is wrong: the file is damaged", file->path());
  }
  return file;
}

}  // namespace

struct ArchiveReader::Index {
  fs::path directory;
  Manifest manifest;
  std::vector<Time> times;
  std::vector<std::uint32_t> unit_of_time;
  std::vector<Channel> static_channels;
  std::unique_ptr<const PlacedFile> statics;
  OpenUnits units;
  mutable std::atomic<std::uint64_t> bytes_read{0};

  Index(const fs::path& directory_, Manifest manifest_)
      : directory(directory_),
        manifest(std::move(manifest_)),
        times(manifest.axis.times()),
        statics(open_statics(directory_, manifest)),
        units(directory_, manifest) {
    for (const StaticRecord& field : manifest.statics) static_channels.push_back(field.channel);
    for (std::size_t u = 0; u < manifest.units.size(); ++u) {
      const UnitRecord& unit = manifest.units[u];
      unit_of_time.insert(unit_of_time.end(), unit.count, static_cast<std::uint32_t>(u));
      std::error_code error;
      const auto bytes = fs::file_size(directory / unit.file, error);
      if (error) fail(ErrorKind::data, "{}: {}", (directory / unit.file).string(), error.message());
      if (bytes != unit.files.bytes) {
        fail(ErrorKind::data, "{}: has {} bytes, expected {}: the file is {}", (directory / unit.file).string(), bytes,
             unit.files.bytes, bytes < unit.files.bytes ? "truncated" : "damaged");
      }
    }
  }

  /// The byte planes of one chunk, in this thread's buffer.
  std::span<const std::byte> planes(const OpenUnit& unit, std::size_t time, std::size_t tile, std::size_t group) const {
    thread_local std::vector<std::byte> packed, unpacked;
    const Tiling& tiling = manifest.layout.tiling;
    const ChunkPlace& place =
        unit.index.place(time - manifest.units[unit_of_time[time]].first, tiling.chunk(tile, group));
    packed.resize(place.bytes);
    unit.file.read(place.offset, packed);
    bytes_read += packed.size();
    unpacked.resize(tiling.chunk_elements() * sizeof(float));
    const bool intact = crc32c(packed) == place.crc32c;
    if (!intact || !zstd_decompress(packed, unpacked)) {
      const std::vector<Channel>& channels = manifest.layout.channels;
      fail(ErrorKind::data, "{}: time {}, channels {} to {}, rows {} to {}: the chunk at byte {} is damaged ({})",
           unit.file.path(), to_string(times[time]), channels[tiling.first_channel(group)].name(),
           channels[tiling.end_channel(group) - 1].name(), tiling.first_row(tile), tiling.end_row(tile) - 1,
           place.offset, intact ? "it does not decompress" : "wrong checksum");
    }
    return unpacked;
  }

  /// Channels [channel_begin, channel_end) of rows [row_begin, row_end): `out [channel, row, lon]`.
  void read(std::size_t time, std::size_t channel_begin, std::size_t channel_end, std::size_t row_begin,
            std::size_t row_end, std::span<float> out) const {
    const Tiling& tiling = manifest.layout.tiling;
    if (time >= times.size() || channel_end > tiling.channels || row_begin >= row_end || row_end > tiling.nlat) {
      fail(ErrorKind::failure, "{}: no time {}, channel {} or rows {} to {}", directory.string(), time, channel_end,
           row_begin, row_end);
    }
    const std::size_t rows = row_end - row_begin;
    if (out.size() != (channel_end - channel_begin) * rows * tiling.nlon) {
      fail(ErrorKind::failure, "{}: room for {} values given, {} wanted", directory.string(), out.size(),
           (channel_end - channel_begin) * rows * tiling.nlon);
    }
    const std::shared_ptr<const OpenUnit> unit = units.get(unit_of_time[time]);
    for (std::size_t tile = row_begin / tiling.tile_rows; tile * tiling.tile_rows < row_end; ++tile) {
      const std::size_t first = std::max(row_begin, tiling.first_row(tile)),
                        end = std::min(row_end, tiling.end_row(tile));
      for (std::size_t group = channel_begin / tiling.group_channels; tiling.first_channel(group) < channel_end;
           ++group) {
        const std::span<const std::byte> bytes = planes(*unit, time, tile, group);
        const std::size_t c_first = std::max(channel_begin, tiling.first_channel(group));
        const std::size_t c_end = std::min(channel_end, tiling.end_channel(group));
        for (std::size_t c = c_first; c < c_end; ++c) {
          const std::size_t row_in_chunk =
              (c - tiling.first_channel(group)) * tiling.tile_rows + (first - tiling.first_row(tile));
          unshuffle(bytes, row_in_chunk * tiling.nlon, tiling.chunk_elements(),
                    out.subspan(((c - channel_begin) * rows + (first - row_begin)) * tiling.nlon,
                                (end - first) * tiling.nlon));
        }
      }
    }
  }
};

ArchiveReader::ArchiveReader(const fs::path& directory) : ArchiveReader(directory, manifest_of(directory)) {}

ArchiveReader::ArchiveReader(const fs::path& directory, Manifest manifest)
    : index_(std::make_shared<const Index>(directory, std::move(manifest))) {}

const Grid& ArchiveReader::grid() const {
  return index_->manifest.layout.grid;
}
const std::vector<Channel>& ArchiveReader::channels() const {
  return index_->manifest.layout.channels;
}
const std::vector<Time>& ArchiveReader::times() const {
  return index_->times;
}
Duration ArchiveReader::step() const {
  return index_->manifest.axis.step;
}

std::optional<std::size_t> ArchiveReader::find_time(Time time) const {
  const auto found = std::lower_bound(index_->times.begin(), index_->times.end(), time);
  if (found == index_->times.end() || *found != time) return std::nullopt;
  return static_cast<std::size_t>(found - index_->times.begin());
}

const std::vector<Channel>& ArchiveReader::static_channels() const {
  return index_->static_channels;
}

std::vector<float> ArchiveReader::static_field(std::size_t index) const {
  std::vector<float> field(grid().size());
  read_static(index, 0, grid().nlat(), field);
  return field;
}

void ArchiveReader::read_static(std::size_t index, std::size_t row_begin, std::size_t row_end,
                                std::span<float> out) const {
  const std::size_t columns = grid().nlon();
  if (index >= index_->static_channels.size() || row_begin > row_end || row_end > grid().nlat() ||
      out.size() != (row_end - row_begin) * columns) {
    fail(ErrorKind::failure, "{}: no static field {} with rows {} to {}, or no room for them",
         index_->directory.string(), index, row_begin, row_end);
  }
  index_->statics->read(index_->manifest.statics[index].offset + row_begin * columns * sizeof(float),
                        std::as_writable_bytes(out));
}

const Statistics& ArchiveReader::statistics() const {
  return index_->manifest.statistics;
}
const std::string& ArchiveReader::identity() const {
  return index_->manifest.identity;
}

void ArchiveReader::read(std::size_t time_index, std::size_t row_begin, std::size_t row_end,
                         std::span<float> out) const {
  index_->read(time_index, 0, channels().size(), row_begin, row_end, out);
}

void ArchiveReader::read_channel(std::size_t time_index, std::size_t channel, std::size_t row_begin,
                                 std::size_t row_end, std::span<float> out) const {
  index_->read(time_index, channel, channel + 1, row_begin, row_end, out);
}

std::uint64_t ArchiveReader::bytes_read() const {
  return index_->bytes_read;
}

}  // namespace zonda::ingest
