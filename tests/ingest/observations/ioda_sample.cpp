// Writes a small store of observations for other programs to open, and prints what is in it.
#include <fmt/core.h>

#include "ingest/observations/files/ioda_store.hpp"

int main(int argc, char** argv) {
  using namespace zonda;
  if (argc != 2) return 2;
  ingest::ObservationTable table;
  double sum = 0;
  for (int sounding = 0; sounding < 5; ++sounding)
    for (int level = 0; level < 4; ++level) {
      ingest::Observation entry;
      const std::string station = "7235" + std::to_string(sounding);
      entry.station = station;
      entry.kind = ingest::ReportKind::temp;
      entry.latitude = 30 + sounding;
      entry.longitude = 260;
      entry.pressure = 1e5 - 2e4 * level;
      entry.time = parse_time("2020-01-01T11:30");
      entry.variable = ingest::variable_number("t");
      entry.value = 290 - 8 * level + 0.25 * sounding;
      entry.error = 1;
      if (level != 2) {
        sum += entry.value;
        table.add(entry);
      }
      entry.variable = ingest::variable_number("q");
      entry.value = 1e-3;
      table.add(entry);
    }
  ingest::write_ioda(argv[1], table);
  fmt::print("{{\"locations\": 20, \"temperatures\": 15, \"sum\": {:.17g}, \"station\": \"{}\", \"seconds\": {}}}\n",
             sum, table.station_name(0), table.time[0].time_since_epoch().count());
}
