// Any bytes as a CSV file of observations.
#include <cstdlib>

#include "core/error.hpp"
#include "ingest/observations/files/column_map.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zonda;
  ingest::ColumnMap map;
  map.pressure = "p";
  map.wind_direction = "dd";
  map.wind_speed = "ff";
  map.values = {{"t", "t", "degC", {}}};
  try {
    const ingest::TextTable rows = ingest::parse_csv({reinterpret_cast<const char*>(data), size}, ',', "fuzz.csv");
    const auto read = ingest::read_columns(rows, map, "fuzz.csv");
    if (!read.account.balanced() || read.account.reports.size() > 1) std::abort();
    for (const auto& [key, count] : read.account.reports)
      if (count.read != rows.rows.size()) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
  }
  return 0;
}
