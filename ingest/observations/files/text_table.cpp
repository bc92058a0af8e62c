#include "ingest/observations/files/text_table.hpp"

#include <fmt/format.h>
#include <netcdf.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.hpp"
#include "ingest/hdf5_lock.hpp"

namespace zonda::ingest {
namespace {

std::vector<std::string> next_record(std::string_view text, std::size_t& at, char separator, const std::string& file,
                                     std::size_t line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c != '"') {
        fields.back() += c;
      } else if (at + 1 < text.size() && text[at + 1] == '"') {
        fields.back() += text[++at];
      } else {
        quoted = false;
      }
    } else if (c == '"' && fields.back().empty()) {
      quoted = true;
    } else if (c == separator) {
      fields.emplace_back();
    } else if (c == '\n') {
      ++at;
      break;
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  if (quoted) fail(ErrorKind::data, "{}, line {}: a quote is not closed", file, line);
  return fields;
}

class NetcdfPoints {
 public:
  explicit NetcdfPoints(const std::filesystem::path& path) : path_(path.string()) {
    check(nc_open(path_.c_str(), NC_NOWRITE, &id_), "open");
  }
  ~NetcdfPoints() { nc_close(id_); }
  NetcdfPoints(const NetcdfPoints&) = delete;
  NetcdfPoints& operator=(const NetcdfPoints&) = delete;

  TextTable read() {
    TextTable table;
    const int reports = report_dimension();
    std::size_t rows = 0;
    check(nc_inq_dimlen(id_, reports, &rows), "dimension");
    if (rows > 50'000'000) fail(ErrorKind::data, "{}: {} reports", path_, rows);
    table.rows.assign(rows, {});
    int variables = 0;
    check(nc_inq_nvars(id_, &variables), "variables");
    for (int v = 0; v < variables; ++v) {
      int dimensions = 0;
      check(nc_inq_varndims(id_, v, &dimensions), "variable");
      if (dimensions < 1 || dimensions > 2) continue;
      std::array<int, 2> which{};
      nc_type type = 0;
      check(nc_inq_vardimid(id_, v, which.data()), "variable");
      check(nc_inq_vartype(id_, v, &type), "variable");
      if (which[0] != reports || (type == NC_CHAR) != (dimensions == 2) || (type > NC_DOUBLE && type < NC_UBYTE) ||
          type > NC_UINT64)
        continue;
      std::array<char, NC_MAX_NAME + 1> name{};
      check(nc_inq_varname(id_, v, name.data()), "variable");
      table.names.emplace_back(name.data());
      table.units.push_back(attribute(v, "units"));
      if (type == NC_CHAR) {
        read_texts(v, which[1], table);
      } else {
        read_numbers(v, table);
      }
    }
    return table;
  }

 private:
  void check(int status, const char* what) const {
    if (status != NC_NOERR) fail(ErrorKind::data, "{}: {}: {}", path_, what, nc_strerror(status));
  }

  int report_dimension() const {
    int unlimited = -1, count = 0;
    check(nc_inq_unlimdim(id_, &unlimited), "dimensions");
    if (unlimited >= 0) return unlimited;
    check(nc_inq_ndims(id_, &count), "dimensions");
    int longest = -1;
    std::size_t most = 0;
    for (int d = 0; d < count; ++d) {
      std::size_t length = 0;
      check(nc_inq_dimlen(id_, d, &length), "dimension");
      if (longest < 0 || length > most) {
        longest = d;
        most = length;
      }
    }
    if (longest < 0) fail(ErrorKind::data, "{}: no dimension", path_);
    return longest;
  }

  std::string attribute(int variable, const char* name) const {
    std::size_t length = 0;
    nc_type type = 0;
    if (nc_inq_att(id_, variable, name, &type, &length) != NC_NOERR || type != NC_CHAR || length > 1000) return "";
    std::string text(length, '\0');
    check(nc_get_att_text(id_, variable, name, text.data()), name);
    return text.substr(0, text.find('\0'));
  }

  void read_texts(int variable, int width_dimension, TextTable& table) const {
    std::size_t width = 0;
    check(nc_inq_dimlen(id_, width_dimension, &width), "dimension");
    if (width > 100'000) fail(ErrorKind::data, "{}: texts of {} characters", path_, width);
    std::string all(table.rows.size() * width, '\0');
    check(nc_get_var_text(id_, variable, all.data()), "text");
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
      std::string text = all.substr(r * width, width);
      text.resize(std::min(text.find('\0'), text.size()));
      while (!text.empty() && text.back() == ' ') text.pop_back();
      table.rows[r].push_back(std::move(text));
    }
  }

  void read_numbers(int variable, TextTable& table) const {
    std::vector<double> values(table.rows.size());
    check(nc_get_var_double(id_, variable, values.data()), "numbers");
    double fill = std::nan("");
    if (nc_get_att_double(id_, variable, "_FillValue", &fill) != NC_NOERR) fill = std::nan("");
    for (std::size_t r = 0; r < values.size(); ++r) {
      const double value = values[r];
      table.rows[r].push_back(value == fill || !std::isfinite(value) || std::abs(value) > 9e36
                                  ? std::string()
                                  : fmt::format("{:.17g}", value));
    }
  }

  std::string path_;
  int id_ = -1;
};

}  // namespace

std::optional<std::size_t> TextTable::find(std::string_view name) const {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<std::size_t>(found - names.begin());
}

TextTable parse_csv(std::string_view text, char separator, const std::string& file) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  TextTable table;
  std::size_t at = 0, line = 1;
  while (at < text.size()) {
    const std::size_t begin = at;
    std::vector<std::string> record = next_record(text, at, separator, file, line);
    const auto lines = static_cast<std::size_t>(std::count(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                                           text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    const bool empty = record.size() == 1 && record.front().empty();
    if (table.names.empty()) {
      if (!empty) {
        table.names = std::move(record);
        table.first_row = line + lines;
      }
    } else if (!empty) {
      table.rows.push_back(std::move(record));
    }
    line += lines;
  }
  if (table.names.empty()) fail(ErrorKind::data, "{}: no line that names the columns", file);
  table.units.assign(table.names.size(), "");
  return table;
}

TextTable read_point_netcdf(const std::filesystem::path& path) {
  const Hdf5Lock lock(hdf5_mutex());
  return NetcdfPoints(path).read();
}

}  // namespace zonda::ingest
