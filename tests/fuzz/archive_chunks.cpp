// Any bytes as an archive's index and as the file that it points into, checksums made right so that what lies behind
// them is reached: refused with Error(data), or read.
//
// Input: 16 bytes a place (offset 8, bytes 4, a flag 4: with its lowest bit set the checksum is made right), as many as
// the archive has chunks; the rest replaces the file's bytes from byte 0 on.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "ingest/archive/chunk_index.hpp"
#include "tests/fuzz/archive_folder.hpp"

namespace {

using namespace zonda;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ArchiveFolder sound("archive_chunks");
  static const auto unit_path = sound.path / sound.manifest.units[0].file, index_path = ingest::index_path(unit_path);
  static const std::string unit_bytes = read_file(unit_path), index_bytes = read_file(index_path);
  constexpr std::size_t header = 32;
  std::string index = index_bytes, unit = unit_bytes;
  const std::size_t of_index = std::min(size, index.size() - header);
  if (of_index > 0) std::memcpy(index.data() + header, data, of_index);
  unit.replace(0, size - of_index, reinterpret_cast<const char*>(data) + of_index, size - of_index);
  for (std::size_t at = header; at < index.size(); at += sizeof(ingest::ChunkPlace)) {
    ingest::ChunkPlace place{};
    std::memcpy(&place, index.data() + at, sizeof place);
    if ((place.crc32c & 1U) == 0 || place.offset > unit.size() || place.bytes > unit.size() - place.offset) continue;
    place.crc32c = crc32c(bytes_of(unit).subspan(place.offset, place.bytes));
    std::memcpy(index.data() + at, &place, sizeof place);
  }
  write_file(unit_path, unit);
  write_file(index_path, index);
  ingest::Manifest manifest = sound.manifest;
  manifest.units[0].files = {unit.size(), crc32c(bytes_of(unit)), crc32c(bytes_of(index))};
  const auto refused_or = [](auto&& read) {
    try {
      read();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
    }
  };
  refused_or([&] {
    const ingest::ArchiveReader reader(sound.path, manifest);
    const std::size_t rows = reader.grid().nlat();
    std::vector<float> all(reader.channels().size() * reader.grid().size()), one(2 * reader.grid().nlon());
    for (std::size_t time = 0; time < reader.times().size(); ++time) {
      refused_or([&] { reader.read(time, 0, rows, all); });
      refused_or([&] { reader.read_channel(time, 1, 3, 5, one); });
    }
  });
  return 0;
}
