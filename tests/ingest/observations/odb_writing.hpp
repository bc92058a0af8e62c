#pragma once
// ODB-2 files of reports for tests, encoded by odc.
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "odb_reference.hpp"

namespace zonda::ingest {

struct OdbRow {
  std::string station;
  double lat, lon, date, time, varno, value, pressure, error;
};

inline void write_odb(const std::filesystem::path& path, const std::vector<OdbRow>& rows) {
  std::vector<OdcColumn> columns{{"lat@hdr", ODC_DOUBLE, {}, {}},
                                 {"lon@hdr", ODC_DOUBLE, {}, {}},
                                 {"date@hdr", ODC_INTEGER, {}, {}},
                                 {"time@hdr", ODC_INTEGER, {}, {}},
                                 {"varno@body", ODC_INTEGER, {}, {}},
                                 {"obsvalue@body", ODC_DOUBLE, {}, {}},
                                 {"obstype@hdr", ODC_INTEGER, {}, {}},
                                 {"vertco_type@body", ODC_INTEGER, {}, {}},
                                 {"vertco_reference_1@body", ODC_DOUBLE, {}, {}},
                                 {"obs_error@errstat", ODC_DOUBLE, {}, {}},
                                 {"statid@hdr", ODC_STRING, {}, {}}};
  for (const OdbRow& row : rows) {
    const std::array<double, 10> values{row.lat,   row.lon, row.date, row.time,     row.varno,
                                        row.value, 5,       1,        row.pressure, row.error};
    for (std::size_t c = 0; c < values.size(); ++c) columns[c].numbers.push_back(values[c]);
    columns.back().texts.push_back(row.station);
  }
  encode_odb(path, columns, 3);  // several frames
}

}  // namespace zonda::ingest
