#pragma once
// ECMWF's odc as the judge of ODB-2: tables that it encodes, and cells as it decodes them.
#include <fcntl.h>
#include <fmt/format.h>
#include <odc/api/odc.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace zonda::ingest {

inline void odc_check(int status) {
  if (status != ODC_SUCCESS) throw std::runtime_error(odc_error_string(status));
}

inline void start_odc() {
  static const int status = odc_initialise_api();
  odc_check(status);
}

struct OdcColumn {
  const char* name;
  int type;
  std::vector<double> numbers;
  std::vector<std::string> texts;  ///< instead of numbers
};

inline void encode_odb(const std::filesystem::path& path, const std::vector<OdcColumn>& columns, long rows_per_frame) {
  start_odc();
  odc_encoder_t* encoder = nullptr;
  odc_check(odc_new_encoder(&encoder));
  const std::size_t rows = std::max(columns[0].numbers.size(), columns[0].texts.size());
  odc_check(odc_encoder_set_row_count(encoder, static_cast<long>(rows)));
  odc_check(odc_encoder_set_rows_per_frame(encoder, rows_per_frame));
  std::vector<std::string> texts(columns.size());
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const int column = static_cast<int>(c);
    odc_check(odc_encoder_add_column(encoder, columns[c].name, columns[c].type));
    if (columns[c].type == ODC_BITFIELD) odc_check(odc_encoder_column_add_bitfield(encoder, column, "flag", 7));
    if (columns[c].texts.empty()) {
      odc_check(odc_encoder_column_set_data_array(encoder, column, 8, 8, columns[c].numbers.data()));
      continue;
    }
    std::size_t longest = 1;
    for (const std::string& text : columns[c].texts) longest = std::max(longest, text.size());
    const std::size_t width = (longest + 7) / 8 * 8;
    for (std::string text : columns[c].texts) {
      text.resize(width, '\0');
      texts[c] += text;
    }
    odc_check(odc_encoder_column_set_data_array(encoder, column, static_cast<int>(width), static_cast<int>(width),
                                                texts[c].data()));
  }
  const int descriptor = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
  long written = 0;
  odc_check(odc_encode_to_file_descriptor(encoder, descriptor, &written));
  ::close(descriptor);
  odc_free_encoder(encoder);
}

/// `name=value ` of each cell, a line a row; numbers that are missing as `missing`.
inline std::vector<std::string> odc_cells(const std::filesystem::path& path) {
  start_odc();
  odc_reader_t* reader = nullptr;
  odc_check(odc_open_path(&reader, path.c_str()));
  odc_frame_t* frame = nullptr;
  odc_check(odc_new_frame(&frame, reader));
  std::vector<std::string> lines;
  while (odc_next_frame(frame) == ODC_SUCCESS) {
    odc_decoder_t* decoder = nullptr;
    odc_check(odc_new_decoder(&decoder));
    odc_check(odc_decoder_defaults_from_frame(decoder, frame));
    long rows = 0, width = 0, height = 0;
    odc_check(odc_decode(decoder, frame, &rows));
    const void* data = nullptr;
    bool by_columns = false;
    odc_check(odc_decoder_data_array(decoder, &data, &width, &height, &by_columns));
    int columns = 0;
    odc_check(odc_frame_column_count(frame, &columns));
    for (long row = 0; row < rows; ++row) {
      const char* cell = static_cast<const char*>(data) + row * width;
      std::string line;
      for (int column = 0; column < columns; ++column) {
        const char* name = nullptr;
        int type = 0, bytes = 0, bits = 0;
        odc_check(odc_frame_column_attributes(frame, column, &name, &type, &bytes, &bits));
        line += std::string(name) + "=";
        if (type == ODC_STRING) {
          std::string text(cell, static_cast<std::size_t>(bytes));
          text.resize(std::min(text.find('\0'), text.size()));
          text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
          text.resize(text.find_last_not_of(' ') + 1);
          line += text;
        } else {
          double value = 0;
          std::memcpy(&value, cell, sizeof value);
          const bool missing = value == 2147483647 || value == -2147483647;
          line += missing ? "missing" : fmt::format("{:.17g}", value);
        }
        line += " ";
        cell += bytes;
      }
      lines.push_back(line);
    }
    odc_free_decoder(decoder);
  }
  odc_free_frame(frame);
  odc_close(reader);
  return lines;
}

}  // namespace zonda::ingest
