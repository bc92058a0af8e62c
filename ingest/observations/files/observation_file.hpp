#pragma once
// Observation files of any format, told apart by content.
#include <filesystem>

#include "ingest/observations/files/column_map.hpp"
#include "ingest/observations/reading_account.hpp"

namespace zonda::ingest {

enum class ObservationFormat { bufr, odb, ioda, netcdf_points, csv, none };

/// By the first bytes; a NetCDF file is one of point reports where no variable lies on a grid; `none` for anything
/// else.
ObservationFormat observation_format(const std::filesystem::path& path);

/// BUFR, ODB-2 and IODA files say what they hold; CSV files and NetCDF files of reports need `columns`. Throws
/// Error(data) where the file is none of these, Error(usage) where the columns are missing.
ReadObservations read_observations(const std::filesystem::path& path, const ColumnMap* columns = nullptr);

/// Observations of a run file: files, and what their columns are where they do not say.
struct ObservationSourceConfig {
  std::vector<std::string> path;  ///< files or globs
  std::optional<ColumnMap> columns;
};
void describe(config::Table& table, ObservationSourceConfig& config);
/// All files in order into one table and account. Throws as read_observations, and Error(data) where a pattern fits
/// nothing.
ReadObservations read_sources(const std::vector<ObservationSourceConfig>& sources);

}  // namespace zonda::ingest
