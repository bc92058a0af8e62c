#include "ingest/observations/files/observation_file.hpp"

#include <algorithm>
#include <array>
#include <fstream>

#include "core/atomic_file.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "ingest/observations/files/bufr_reader.hpp"
#include "ingest/observations/files/ioda_store.hpp"
#include "ingest/observations/files/odb_reader.hpp"
#include "ingest/sources/netcdf_dataset.hpp"
#include "ingest/sources/path_pattern.hpp"

namespace zonda::ingest {
namespace {

/// NetCDF files: a store, reports along one dimension, or fields.
ObservationFormat look_into_netcdf(const std::filesystem::path& path, bool hdf5) {
  if (hdf5 && is_ioda(path)) return ObservationFormat::ioda;
  try {
    const auto dataset = open_netcdf(path);
    bool reports = false;
    for (const CfArray& array : dataset->arrays()) {
      if (array.name == "lat" || array.name == "latitude") reports = reports || array.dimensions.size() == 1;
      if (array.dimensions.size() == 1 && (array.name == array.dimensions.front())) return ObservationFormat::none;
    }
    return reports ? ObservationFormat::netcdf_points : ObservationFormat::none;
  } catch (const Error&) {
    return ObservationFormat::none;
  }
}

}  // namespace

ObservationFormat observation_format(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 4096> head{};
  file.read(head.data(), head.size());
  const std::string_view text(head.data(), static_cast<std::size_t>(file.gcount()));
  if (text.starts_with("\x89HDF\r\n\x1a\n")) return look_into_netcdf(path, true);
  if (text.starts_with("CDF")) return look_into_netcdf(path, false);
  if (text.size() >= 5 && text.substr(0, 5) == std::string_view("\xff\xffODA", 5)) return ObservationFormat::odb;
  if (text.find("GRIB") != std::string_view::npos) return ObservationFormat::none;
  if (text.find("BUFR") != std::string_view::npos) return ObservationFormat::bufr;
  const std::string_view line = text.substr(0, text.find('\n'));
  const bool printable = std::all_of(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) >= ' ' || c == '\r' || c == '\t'; });
  const bool columns = line.find_first_of(",;\t") != std::string_view::npos;
  return printable && columns && path.extension() == ".csv" ? ObservationFormat::csv : ObservationFormat::none;
}

ReadObservations read_observations(const std::filesystem::path& path, const ColumnMap* columns) {
  if (!std::filesystem::exists(path)) fail(ErrorKind::data, "{}: no such file", path.string());
  const auto need = [&]() -> const ColumnMap& {
    if (columns == nullptr)
      fail(ErrorKind::usage, "{}: it does not say what its columns are; describe them under `columns`", path.string());
    return *columns;
  };
  switch (observation_format(path)) {
    case ObservationFormat::bufr:
      return read_bufr(read_file(path), path.string());
    case ObservationFormat::odb:
      return read_odb(path);
    case ObservationFormat::ioda:
      return read_ioda(path);
    case ObservationFormat::netcdf_points:
      return read_columns(read_point_netcdf(path), need(), path.string());
    case ObservationFormat::csv:
      return read_csv(path, need());
    case ObservationFormat::none:
      break;
  }
  fail(ErrorKind::data, "{}: neither BUFR, ODB-2, CSV, NetCDF reports nor a store of observations, by its first bytes",
       path.string());
}

void describe(config::Table& table, ObservationSourceConfig& c) {
  table.key("path", c.path, "Files or globs: BUFR, ODB-2, IODA-layout HDF5, CSV, NetCDF of reports")
      .required()
      .at_least(1);
  table.section("columns", c.columns, "What the columns of CSV and NetCDF files are");
}

ReadObservations read_sources(const std::vector<ObservationSourceConfig>& sources) {
  ReadObservations all;
  for (const ObservationSourceConfig& source : sources)
    for (const std::string& pattern : source.path)
      for (const std::filesystem::path& path : match_pattern(pattern)) {
        const ReadObservations read = read_observations(path, source.columns ? &*source.columns : nullptr);
        all.table.append(read.table);
        all.account.append(read.account);
      }
  return all;
}

}  // namespace zonda::ingest
