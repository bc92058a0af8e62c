#pragma once
// ODB-2 files for tests, encoded by odc.
#include <fcntl.h>
#include <odc/api/odc.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace zonda::ingest {

struct OdbRow {
  std::string station;
  double lat, lon, date, time, varno, value, pressure, error;
};

inline void write_odb(const std::filesystem::path& path, const std::vector<OdbRow>& rows) {
  const auto check = [](int status) {
    if (status != ODC_SUCCESS) throw std::runtime_error(odc_error_string(status));
  };
  check(odc_initialise_api());
  odc_encoder_t* encoder = nullptr;
  check(odc_new_encoder(&encoder));
  struct Column {
    const char* name;
    int type;
    std::vector<double> values;
  };
  std::vector<Column> columns{{"lat@hdr", ODC_DOUBLE, {}},
                              {"lon@hdr", ODC_DOUBLE, {}},
                              {"date@hdr", ODC_INTEGER, {}},
                              {"time@hdr", ODC_INTEGER, {}},
                              {"varno@body", ODC_INTEGER, {}},
                              {"obsvalue@body", ODC_DOUBLE, {}},
                              {"obstype@hdr", ODC_INTEGER, {}},
                              {"vertco_type@body", ODC_INTEGER, {}},
                              {"vertco_reference_1@body", ODC_DOUBLE, {}},
                              {"obs_error@errstat", ODC_DOUBLE, {}}};
  std::vector<std::array<char, 8>> stations;
  for (const OdbRow& row : rows) {
    const std::array<double, 10> values{row.lat,   row.lon, row.date, row.time,     row.varno,
                                        row.value, 5,       1,        row.pressure, row.error};
    for (std::size_t c = 0; c < columns.size(); ++c) columns[c].values.push_back(values[c]);
    std::array<char, 8> name{};
    std::memcpy(name.data(), row.station.data(), std::min<std::size_t>(8, row.station.size()));
    stations.push_back(name);
  }
  check(odc_encoder_set_row_count(encoder, static_cast<long>(rows.size())));
  check(odc_encoder_set_rows_per_frame(encoder, 3));  // several frames
  int number = 0;
  for (const Column& column : columns) {
    check(odc_encoder_add_column(encoder, column.name, column.type));
    check(odc_encoder_column_set_data_array(encoder, number++, 8, 8, column.values.data()));
  }
  check(odc_encoder_add_column(encoder, "statid@hdr", ODC_STRING));
  check(odc_encoder_column_set_data_array(encoder, number, 8, 8, stations.data()));
  const int descriptor = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
  long written = 0;
  check(odc_encode_to_file_descriptor(encoder, descriptor, &written));
  ::close(descriptor);
  odc_free_encoder(encoder);
}

}  // namespace zonda::ingest
