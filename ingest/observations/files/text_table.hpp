#pragma once
// Tables of text: what CSV files and NetCDF files of point reports have in common.
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zonda::ingest {

struct TextTable {
  std::vector<std::string> names;
  std::vector<std::string> units;              ///< [names]; "" where the file says none
  std::vector<std::vector<std::string>> rows;  ///< a row may have another number of fields than the header
  std::size_t first_row = 1;                   ///< number of the first row in messages: its line in the file

  std::optional<std::size_t> find(std::string_view name) const;
};

/// RFC 4180: quoted fields may hold the separator, doubled quotes and line ends. The first line names the columns;
/// empty lines are skipped. Throws Error(data) on an unclosed quote and on a file without a header.
TextTable parse_csv(std::string_view text, char separator, const std::string& file);
/// The one-dimensional numbers and two-dimensional texts along the record dimension (or the longest one). Missing
/// values become empty fields. Throws Error(data).
TextTable read_point_netcdf(const std::filesystem::path& path);

}  // namespace zonda::ingest
