#include "ingest/observations/files/column_map.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "core/config/table.hpp"
#include "core/error.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"

namespace zonda::ingest {
namespace {

ColumnMap temperatures() {
  ColumnMap map;
  map.station = "id";
  map.latitude = "lat";
  map.longitude = "lon";
  map.values = {{"T", "2t", "degC", 0.5}};
  return map;
}

ReadObservations read(const std::string& csv, const ColumnMap& map) {
  return read_columns(parse_csv(csv, map.separator.front(), "t.csv"), map, "t.csv");
}

std::uint64_t rejected(const ReadingAccount& account, QualityFlag reason) {
  const ReportCount& count = account.reports.begin()->second;
  const auto found = count.rejected.find(reason);
  return found == count.rejected.end() ? 0 : found->second;
}

std::string refusal(const std::function<void()>& call, ErrorKind kind) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "not refused";
}

TEST(Csv, reads_quoted_fields_line_ends_and_byte_order_marks) {
  const TextTable table =
      parse_csv("\xEF\xBB\xBFid,\"note, long\"\r\nA,\"said \"\"no\"\"\"\r\n\r\nB,\"two\nlines\"\n", ',', "q.csv");
  EXPECT_EQ(table.names, (std::vector<std::string>{"id", "note, long"}));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0][1], "said \"no\"");
  EXPECT_EQ(table.rows[1][1], "two\nlines");
  EXPECT_EQ(refusal([] { parse_csv("a,\"b\n", ',', "q.csv"); }, ErrorKind::data),
            "q.csv, line 1: a quote is not closed");
}

TEST(Columns, become_observations_in_si) {
  const auto [table, account] =
      read("id,lat,lon,time,T\nA,50,-3,2020-01-01T06:00Z,10\nB,51,4,2020-01-01T07,\n", temperatures());
  ASSERT_EQ(table.size(), 1u);
  const Observation entry = table[0];
  EXPECT_EQ(entry.station, "A");
  EXPECT_DOUBLE_EQ(entry.value, 283.15);
  EXPECT_EQ(entry.error, 0.5);
  EXPECT_DOUBLE_EQ(entry.longitude, 357);
  EXPECT_EQ(entry.time, parse_time("2020-01-01T06"));
  EXPECT_EQ(entry.source.message, 2u);
  EXPECT_EQ(account.reports.begin()->second.used, 1u);
  EXPECT_EQ(rejected(account, QualityFlag::missing), 1u);
  EXPECT_TRUE(account.balanced());
}

TEST(Columns, count_every_row_that_is_not_used) {
  const auto [table, account] = read(
      "id,lat,lon,time,T\n"
      "A,50,3,2020-01-01,1\n"
      "A,50,3,2020-01-01\n"        // a field is missing
      "A,95,3,2020-01-01,1\n"      // no such latitude
      "A,,3,2020-01-01,1\n"        // none
      "A,50,3,yesterday,1\n"       // no time
      "A,50,3,2020-01-01,NA\n"     // missing
      "A,50,3,2020-01-01,cold\n",  // no number
      temperatures());
  EXPECT_TRUE(account.balanced());
  EXPECT_EQ(account.reports.begin()->second.read, 7u);
  EXPECT_EQ(account.reports.begin()->second.used, 2u);
  EXPECT_EQ(rejected(account, QualityFlag::damaged), 1u);
  EXPECT_EQ(rejected(account, QualityFlag::position), 2u);
  EXPECT_EQ(rejected(account, QualityFlag::time), 1u);
  EXPECT_EQ(rejected(account, QualityFlag::missing), 1u);
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table.flag[1], QualityFlag::damaged);
  EXPECT_EQ(account.complaints.back().text, "t.csv, row 8, station A, T: 'cold' is no number");
}

TEST(Columns, make_wind_components_and_upper_air_values) {
  ColumnMap map = temperatures();
  map.pressure = "p";
  map.pressure_unit = "hPa";
  map.wind_direction = "dd";
  map.wind_speed = "ff";
  map.wind_speed_unit = "km h-1";
  map.values = {{"T", "t", "K", {}}};
  map.time_format = "seconds since 1970-01-01";
  const auto [table, account] =
      read("id,lat,lon,time,p,T,dd,ff\nA,50,3,86400,500,250,90,36\nA,50,3,86400,,250,400,36\n", map);
  ASSERT_EQ(table.size(), 6u);
  EXPECT_EQ(table.info(1).short_name, "u");
  EXPECT_NEAR(table.value[1], -10, 1e-12);
  EXPECT_NEAR(table.value[2], 0, 1e-12);
  EXPECT_EQ(table.pressure[0], 50000);
  EXPECT_EQ(table.time[0], parse_time("1970-01-02"));
  EXPECT_EQ(table.flag[3], QualityFlag::level);
  EXPECT_EQ(table.flag[4], QualityFlag::bounds);  // no direction is 400 degrees
}

TEST(Columns, read_one_value_a_row_with_places_from_a_list) {
  const ScratchFolder folder("column_map_1");
  const auto list = folder.path() / "stations.csv";
  std::ofstream(list) << "id,lat,lon\nA,22.3,114.2\n";
  ColumnMap map = temperatures();
  map.stations = list.string();
  map.name_column = "what";
  map.value_column = "value";
  map.values = {{"t_degC", "2t", "degC", {}}};
  map.time_format = "%Y %m %d %H:%M UTC";
  const auto [table, account] = read(
      "time,what,id,value\n2025 06 18 23:10 UTC,t_degC,A,28.4\n2025 06 18 23:10 UTC,rain,A,1\n"
      "2025 06 18 23:10 UTC,t_degC,B,28.4\n",
      map);
  ASSERT_EQ(table.size(), 1u);
  EXPECT_NEAR(table.value[0], 301.55, 1e-12);
  EXPECT_EQ(table.latitude[0], 22.3);
  EXPECT_EQ(table.time[0], parse_time("2025-06-18T23:10"));
  EXPECT_EQ(rejected(account, QualityFlag::unsupported), 1u);
  EXPECT_EQ(rejected(account, QualityFlag::position), 1u);
}

TEST(Columns, name_what_is_not_there) {
  const std::string csv = "id,lat,lon,time,T\n";
  ColumnMap map = temperatures();
  map.values[0].column = "temp";
  EXPECT_EQ(refusal([&] { read(csv, map); }, ErrorKind::data),
            "t.csv: unknown column 'temp'; did you mean 'time'? (known: id, lat, lon, time, T)");
  map = temperatures();
  map.values[0].unit = "furlong";
  EXPECT_EQ(refusal([&] { read(csv, map); }, ErrorKind::data),
            "t.csv, column 'T': unit 'furlong' cannot be converted to 'K'");
  map = temperatures();
  map.values.clear();
  EXPECT_EQ(refusal([&] { read(csv, map); }, ErrorKind::usage), "no column of values is named");
}

TEST(Columns, are_described_in_a_run_file) {
  ColumnMap map;
  config::read(config::parse_yaml("station: id\nvalues:\n  - {column: T, variable: 2t, unit: degC}\n", "run.yaml"),
               map);
  EXPECT_EQ(map.station, "id");
  ASSERT_EQ(map.values.size(), 1u);
  EXPECT_EQ(map.values[0].variable, "2t");
  EXPECT_THROW(config::read(config::parse_yaml("kind: balloon\n", "run.yaml"), map), Error);
}

}  // namespace
}  // namespace zonda::ingest
