#pragma once
// Which columns of a table of point reports are what: a section of the run file.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ingest/observations/files/text_table.hpp"
#include "ingest/observations/reading_account.hpp"

namespace zonda::config {
class Table;
}

namespace zonda::ingest {

struct ValueColumn {
  std::string column;           ///< its name; with `name_column`: the name found there
  std::string variable;         ///< short name: 2t, msl, t
  std::string unit;             ///< "" = as the file says
  std::optional<double> error;  ///< standard deviation, SI
};

/// Column names; "" where the file has no such column.
struct ColumnMap {
  std::string kind = "station";
  std::string station = "station", latitude = "latitude", longitude = "longitude", time = "time";
  std::string height, pressure;
  std::string pressure_unit = "Pa";
  std::string time_format = "iso";  ///< iso, a CF unit (`seconds since ...`), or %Y %m %d %H %M %S with text between
  std::string wind_direction, wind_speed;  ///< together they make 10u and 10v, or u and v where there is a pressure
  std::string wind_speed_unit;
  std::string name_column, value_column;  ///< long layout: one value a row, its name in another column
  std::vector<ValueColumn> values;
  std::vector<std::string> missing{"NA", "NaN", "nan", "null", "M", "-"};  ///< besides the empty field
  std::string separator = ",";
  std::string stations;  ///< CSV file with the stations' latitude, longitude and height, columns named as here
};

void describe(config::Table& table, ValueColumn& column);
void describe(config::Table& table, ColumnMap& map);

/// Rows into observations. A row is used where it gives a value; a field that is no number gives an entry flagged
/// `damaged`, an empty field none. `file` names the rows in messages.
/// Throws Error(usage) on unknown variables or a map without values, Error(data) naming a column that is not there or a
/// unit that cannot be converted.
ReadObservations read_columns(const TextTable& rows, const ColumnMap& map, const std::string& file);
/// Throws Error(data) also where the file cannot be read.
ReadObservations read_csv(const std::filesystem::path& path, const ColumnMap& map);

}  // namespace zonda::ingest
