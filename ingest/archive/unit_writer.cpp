#include "ingest/archive/unit_writer.hpp"

#include <array>
#include <cstring>
#include <exception>
#include <fstream>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/provenance.hpp"
#include "ingest/archive/bit_rounding.hpp"
#include "ingest/archive/chunk_codec.hpp"
#include "ingest/archive/chunk_index.hpp"
#include "ingest/archive/hdf5_handle.hpp"
#include "ingest/archive/zstd_filter.hpp"
#include "ingest/hdf5_lock.hpp"

namespace zonda::ingest {
namespace {

Hdf5Handle create_fields(hid_t root, const ArchiveLayout& layout, std::size_t times, const std::string& name) {
  const Tiling& tiling = layout.tiling;
  const std::array<hsize_t, 4> shape{times, layout.channels.size(), layout.grid.nlat(), layout.grid.nlon()};
  const std::array<hsize_t, 4> chunk{1, tiling.group_channels, tiling.tile_rows, tiling.nlon};
  const Hdf5Handle space(H5Screate_simple(4, shape.data(), nullptr), H5Sclose);
  const Hdf5Handle creation = plain_creation_list();
  hdf5_check(H5Pset_chunk(creation, 4, chunk.data()), name, "chunk");
  H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
  hdf5_check(H5Pset_shuffle(creation), name, "shuffle");
  const auto level = static_cast<unsigned>(layout.compression_level);
  hdf5_check(H5Pset_filter(creation, kZstdFilterId, H5Z_FLAG_OPTIONAL, 1, &level), name, "zstd filter");
  return {
      hdf5_check(H5Dcreate2(root, "fields", H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT), name, "fields"),
      H5Dclose};
}

void describe_file(hid_t file, const ArchiveLayout& layout, const std::string& name) {
  write_attribute(file, "Conventions", "CF-1.8", name);
  write_attribute(file, "title", "Fields for training and verification of forecast models", name);
  write_attribute(file, "source", "zonda " + code_version(), name);
  write_attribute(file, "grid", layout.grid.to_string(), name);
}

void describe_fields(hid_t fields, const ArchiveLayout& layout, const std::string& name) {
  write_attribute(fields, "long_name", "fields, one channel a variable on one level", name);
  write_attribute(fields, "coordinates", "variable level unit", name);
  write_attribute(fields, "quantization", "bit rounding of the mantissa, to nearest, ties to even", name);
  write_attribute(fields, "kept_mantissa_bits", layout.kept_bits, name);
  write_attribute(fields, "compression", "shuffle, zstd (HDF5 filter 32015)", name);
}

// Dimension scales time, channel, lat, lon and the auxiliary coordinates of channel.
void write_coordinates(hid_t root, hid_t fields, const ArchiveLayout& layout, std::span<const Time> times,
                       const std::string& name) {
  std::vector<long long> seconds;
  for (const Time time : times) seconds.push_back(time.time_since_epoch().count());
  const Hdf5Handle time = write_dataset(root, "time", seconds, name);
  write_attribute(time, "standard_name", "time", name);
  write_attribute(time, "units", "seconds since 1970-01-01 00:00:00", name);
  write_attribute(time, "calendar", "proleptic_gregorian", name);
  write_attribute(time, "axis", "T", name);

  std::vector<std::string> names, variables, units;
  std::vector<int> levels;
  for (const Channel& channel : layout.channels) {
    names.push_back(channel.name());
    variables.push_back(channel.variable);
    units.push_back(channel.info().unit);
    levels.push_back(channel.level_hpa);
  }
  const Hdf5Handle channel = write_dataset(root, "channel", names, name);
  write_attribute(channel, "long_name", "variable and pressure level in hPa", name);
  const Hdf5Handle variable = write_dataset(root, "variable", variables, name);
  write_attribute(variable, "long_name", "short name of the variable", name);
  const Hdf5Handle level = write_dataset(root, "level", levels, name);
  write_attribute(level, "long_name", "pressure level, 0 for variables without levels", name);
  write_attribute(level, "units", "hPa", name);
  const Hdf5Handle unit = write_dataset(root, "unit", units, name);
  write_attribute(unit, "long_name", "unit of the channel", name);

  const Hdf5Handle lat = write_dataset(root, "lat", layout.grid.latitudes(), name);
  write_attribute(lat, "standard_name", "latitude", name);
  write_attribute(lat, "units", "degrees_north", name);
  write_attribute(lat, "axis", "Y", name);
  const Hdf5Handle lon = write_dataset(root, "lon", layout.grid.longitudes(), name);
  write_attribute(lon, "standard_name", "longitude", name);
  write_attribute(lon, "units", "degrees_east", name);
  write_attribute(lon, "axis", "X", name);

  const std::array<ScaleUse, 1> of_time{{{fields, 0}}}, of_lat{{{fields, 2}}}, of_lon{{{fields, 3}}};
  const std::array<ScaleUse, 4> of_channel{{{fields, 1}, {variable, 0}, {level, 0}, {unit, 0}}};
  make_scale(time, "time", of_time, name);
  make_scale(channel, "channel", of_channel, name);
  make_scale(lat, "lat", of_lat, name);
  make_scale(lon, "lon", of_lon, name);
  attach_scales(root, fields, std::array{"/time", "/channel", "/lat", "/lon"}, name);
  for (const hid_t auxiliary : {hid_t{variable}, hid_t{level}, hid_t{unit}}) {
    attach_scales(root, auxiliary, std::array{"/channel"}, name);
  }
}

}  // namespace

struct UnitWriter::File {
  std::filesystem::path path;
  ArchiveLayout layout;
  std::vector<Time> times;
  AtomicFile whole;
  Hdf5Handle file, fields;
  std::size_t written = 0;
  std::vector<std::uint32_t> checksums;                ///< [time, chunk]
  std::vector<std::vector<std::byte>> planes, chunks;  ///< scratch of one time

  File(const std::filesystem::path& path_, const ArchiveLayout& layout_, std::vector<Time> times_)
      : path(path_), layout(layout_), times(std::move(times_)), whole(path_) {}
  ~File() {
    const Hdf5Lock lock(hdf5_mutex());
    fields.close();
    file.close();
  }

  /// Rows of every channel of the chunk as byte planes, packed. What lies beyond the grid's edge is zero.
  std::vector<std::byte> encode(std::span<const float> values, std::size_t tile, std::size_t group) const {
    const Tiling& tiling = layout.tiling;
    thread_local std::vector<std::byte> scratch;
    scratch.assign(tiling.chunk_elements() * sizeof(float), std::byte{0});
    const std::size_t row = tiling.first_row(tile), rows = tiling.end_row(tile) - row;
    for (std::size_t c = tiling.first_channel(group); c < tiling.end_channel(group); ++c) {
      shuffle(values.subspan((c * tiling.nlat + row) * tiling.nlon, rows * tiling.nlon),
              (c - tiling.first_channel(group)) * tiling.tile_rows * tiling.nlon, tiling.chunk_elements(), scratch);
    }
    return zstd_compress(scratch, layout.compression_level);
  }
};

UnitWriter::UnitWriter(const std::filesystem::path& path, const ArchiveLayout& layout, std::vector<Time> times)
    : file_(std::make_unique<File>(path, layout, std::move(times))) {
  register_zstd_filter();
  const Hdf5Lock lock(hdf5_mutex());
  const Hdf5Silence silence;
  const std::string name = path.string();
  file_->file = create_hdf5_file(file_->whole.temporary().string(), name);
  file_->fields = create_fields(file_->file, layout, file_->times.size(), name);
  describe_file(file_->file, layout, name);
  describe_fields(file_->fields, layout, name);
  write_coordinates(file_->file, file_->fields, layout, file_->times, name);
  file_->checksums.reserve(file_->times.size() * layout.tiling.chunks());
}

UnitWriter::~UnitWriter() = default;

void UnitWriter::write(std::span<float> values) {
  const Tiling& tiling = file_->layout.tiling;
  const std::size_t field = tiling.nlat * tiling.nlon;
  if (values.size() != tiling.channels * field)
    fail(ErrorKind::failure, "a time needs {} values", tiling.channels * field);
  if (file_->written == file_->times.size())
    fail(ErrorKind::failure, "{}: all times are written", file_->path.string());
  const auto chunks = static_cast<std::ptrdiff_t>(tiling.chunks());
  file_->chunks.resize(tiling.chunks());
  std::exception_ptr trouble;
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (std::ptrdiff_t c = 0; c < static_cast<std::ptrdiff_t>(tiling.channels); ++c) {
      const auto channel = static_cast<std::size_t>(c);
      round_mantissa(values.subspan(channel * field, field), file_->layout.kept_bits[channel]);
    }
#pragma omp for schedule(dynamic)
    for (std::ptrdiff_t k = 0; k < chunks; ++k) {
      const auto chunk = static_cast<std::size_t>(k);
      try {
        file_->chunks[chunk] = file_->encode(values, chunk / tiling.groups(), chunk % tiling.groups());
      } catch (...) {
#pragma omp critical
        trouble = std::current_exception();
      }
    }
  }
  if (trouble) std::rethrow_exception(trouble);

  const Hdf5Lock lock(hdf5_mutex());
  const Hdf5Silence silence;
  for (std::size_t chunk = 0; chunk < tiling.chunks(); ++chunk) {
    const std::array<hsize_t, 4> offset{file_->written, tiling.first_channel(chunk % tiling.groups()),
                                        tiling.first_row(chunk / tiling.groups()), 0};
    const std::vector<std::byte>& bytes = file_->chunks[chunk];
    hdf5_check(H5Dwrite_chunk(file_->fields, H5P_DEFAULT, 0, offset.data(), bytes.size(), bytes.data()),
               file_->path.string(), "a chunk cannot be written");
    file_->checksums.push_back(crc32c(bytes));
  }
  ++file_->written;
}

UnitFiles UnitWriter::close() {
  const std::string name = file_->path.string();
  const Tiling& tiling = file_->layout.tiling;
  if (file_->written != file_->times.size()) {
    fail(ErrorKind::failure, "{}: {} of {} times were written", name, file_->written, file_->times.size());
  }
  std::vector<ChunkPlace> places;
  places.reserve(file_->checksums.size());
  {
    const Hdf5Lock lock(hdf5_mutex());
    const Hdf5Silence silence;
    for (std::size_t time = 0; time < file_->times.size(); ++time) {
      for (std::size_t chunk = 0; chunk < tiling.chunks(); ++chunk) {
        const std::array<hsize_t, 4> offset{time, tiling.first_channel(chunk % tiling.groups()),
                                            tiling.first_row(chunk / tiling.groups()), 0};
        unsigned mask = 0;
        haddr_t address = 0;
        hsize_t size = 0;
        hdf5_check(H5Dget_chunk_info_by_coord(file_->fields, offset.data(), &mask, &address, &size), name,
                   "chunk index");
        places.push_back({address, static_cast<std::uint32_t>(size), file_->checksums[places.size()]});
      }
    }
    const bool fields_closed = file_->fields.close(), file_closed = file_->file.close();
    if (!fields_closed || !file_closed) hdf5_fail(name, "cannot be closed");
  }
  UnitFiles files;
  const std::string index = encode_chunk_index(file_->times.size(), tiling.chunks(), places);
  files.index_crc32c = crc32c(std::as_bytes(std::span(index)));
  files.crc32c = file_crc32c(file_->whole.temporary());
  files.bytes = std::filesystem::file_size(file_->whole.temporary());
  write_file(index_path(file_->path), index);
  file_->whole.commit();
  file_.reset();
  return files;
}

std::filesystem::path index_path(const std::filesystem::path& unit_file) {
  return std::filesystem::path(unit_file).replace_extension(".index");
}

std::uint32_t file_crc32c(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(ErrorKind::data, "{}: cannot be read", path.string());
  std::vector<char> buffer(1 << 20);
  std::uint32_t checksum = 0;
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0) {
    checksum = crc32c(std::as_bytes(std::span(buffer.data(), static_cast<std::size_t>(in.gcount()))), checksum);
  }
  if (in.bad()) fail(ErrorKind::data, "{}: reading failed", path.string());
  return checksum;
}

}  // namespace zonda::ingest
