// Any JSON as the manifest of an archive, its identity made right so that what lies behind it is reached: refused with
// Error(data), or it is read, written back to the same text, and its archive read or refused.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "tests/fuzz/archive_folder.hpp"

namespace {

using namespace zonda;

std::string with_identity(const std::string& text) {
  try {
    parse_json(text, "text");  // neither deeper than dump() goes, nor anything but UTF-8
  } catch (const Error&) {
    return text;
  }
  auto json = nlohmann::ordered_json::parse(text);
  if (!json.is_object()) return text;
  json.erase("identity");
  json["identity"] = sha256(json.dump(1) + "\n");
  return json.dump(1) + "\n";
}

/// The checksums of the files that are there take the place of the manifest's.
void open_and_read(const fuzz::ArchiveFolder& sound, ingest::Manifest manifest) {
  for (ingest::UnitRecord& unit : manifest.units) {
    unit.files = sound.manifest.units[0].files;
    unit.file = sound.manifest.units[0].file;
  }
  manifest.static_crc32c = sound.manifest.static_crc32c;
  const ingest::ArchiveReader reader(sound.path, std::move(manifest));
  const std::size_t rows = reader.grid().nlat(), columns = reader.grid().nlon();
  std::vector<float> values;
  for (std::size_t field = 0; field < std::min<std::size_t>(reader.static_channels().size(), 3); ++field) {
    if (rows * columns > 100'000) return;
    values.resize(rows * columns);
    reader.read_static(field, 0, rows, values);
  }
  if (rows * columns * reader.channels().size() > 300'000) return;
  values.resize(rows * columns * reader.channels().size());
  for (std::size_t time = 0; time < std::min<std::size_t>(reader.times().size(), 3); ++time)
    reader.read(time, 0, rows, values);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ArchiveFolder sound("archive_manifest");
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    ingest::Manifest manifest = ingest::decode_manifest(with_identity(text), "archive.json");
    const std::string written = ingest::encode_manifest(manifest);
    ingest::Manifest again = ingest::decode_manifest(written, "archive.json");
    if (ingest::encode_manifest(again) != written) std::abort();
    open_and_read(sound, std::move(again));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
  }
  return 0;
}
