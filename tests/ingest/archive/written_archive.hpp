#pragma once
// A small finished archive written straight through the archive's own parts, without the pipeline.
#include <filesystem>
#include <string>
#include <vector>

#include "core/atomic_file.hpp"
#include "ingest/archive/manifest.hpp"
#include "ingest/archive/static_file.hpp"
#include "ingest/archive/unit_writer.hpp"
#include "tests/ingest/archive/synthetic_atmosphere.hpp"

namespace zonda::ingest {

inline Time archive_time(std::size_t i) {
  return Time(Duration(1500000000 + 21600 * static_cast<long>(i)));
}

inline ArchiveLayout layout_of(const SyntheticAtmosphere& atmosphere, int keep, std::size_t tile_rows = 0) {
  return {atmosphere.grid, atmosphere.channels, std::vector<int>(atmosphere.channels.size(), keep),
          Tiling::choose(atmosphere.channels.size(), atmosphere.grid.nlat(), atmosphere.grid.nlon(), tile_rows)};
}

/// `fields [time][channel, lat, lon]` are rounded in place.
inline UnitFiles write_unit(const std::filesystem::path& path, const SyntheticAtmosphere& atmosphere, int keep,
                            std::vector<std::vector<float>>& fields, std::size_t tile_rows = 0) {
  std::vector<Time> times;
  for (std::size_t t = 0; t < fields.size(); ++t) times.push_back(archive_time(t));
  UnitWriter writer(path, layout_of(atmosphere, keep, tile_rows), times);
  for (std::vector<float>& values : fields) writer.write(values);
  return writer.close();
}

/// One unit, one static field (orography), plausible statistics.
inline Manifest write_archive(const std::filesystem::path& folder, const SyntheticAtmosphere& atmosphere, int keep,
                              std::vector<std::vector<float>>& fields, std::size_t tile_rows = 0) {
  const std::size_t channels = atmosphere.channels.size();
  const UnitFiles files = write_unit(folder / "fields-a.h5", atmosphere, keep, fields, tile_rows);
  const std::vector<Channel> statics{{"orog", 0}};
  const std::vector<float> orography = SyntheticAtmosphere{atmosphere.grid, statics}.fields(archive_time(0));
  const StaticFile static_file = write_static_file(folder / kStaticName, atmosphere.grid, statics, orography);
  const Time last = archive_time(fields.size() - 1);
  Statistics statistics{archive_time(0),
                        last,
                        std::vector(channels, 0.25),
                        std::vector(channels, 1.0 / 3),
                        std::vector(channels, -1e-300),
                        std::vector(channels, 1e300),
                        std::vector(channels, 1.0),
                        {}};
  statistics.tendencies[Duration(21600)] = {std::vector(channels, 0.1), std::vector(channels, 0.7)};
  Manifest manifest{layout_of(atmosphere, keep, tile_rows),
                    {archive_time(0), last, Duration(21600), {}},
                    {{"fields-a.h5", 0, fields.size(), files}},
                    static_file.records,
                    static_file.crc32c,
                    statistics,
                    "{\"code\": \"test\"}",
                    ""};
  write_file(folder / kManifestName, encode_manifest(manifest));
  return manifest;
}

}  // namespace zonda::ingest
