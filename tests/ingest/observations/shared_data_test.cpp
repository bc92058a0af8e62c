// Real reports. Counts of messages, subsets and values are those that bufr_ls and bufr_dump give
// (tests/peers/bufr_counts.py asks them anew).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "core/atomic_file.hpp"
#include "ingest/observations/files/bufr_reader.hpp"
#include "ingest/observations/files/observation_file.hpp"

namespace zonda::ingest {
namespace {

std::filesystem::path data(const std::string& name) {
  const char* place = std::getenv("ZONDA_SHARED_DATA");
  return std::filesystem::path(place != nullptr ? place : ZONDA_SOURCE_DIR "/../shared/data") / name;
}

#define NEEDS(file) \
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not here"

std::uint64_t read_of(const ReadingAccount& account) {
  std::uint64_t sum = 0;
  for (const auto& [key, count] : account.reports) sum += count.read;
  return sum;
}

ValueCount values(const ObservationTable& table, ReportKind kind, const char* variable) {
  return count_values(table)[{kind, variable_number(variable)}];
}

TEST(SharedObservations, Soundings) {
  NEEDS(data("obs_bufr/temp.bufr"));
  const auto [table, account] = read_observations(data("obs_bufr/temp.bufr"));
  EXPECT_TRUE(account.balanced());
  EXPECT_EQ(read_of(account), 420u);
  EXPECT_EQ(account.reports.begin()->second.used, 420u);  // the one at the south pole too
  EXPECT_GT(values(table, ReportKind::temp, "t").read, 18000u);
  // First sounding: station 71907; 1003 hPa: 258.3 K; 1000 hPa: wind 0 degrees.
  EXPECT_EQ(table.station_name(0), "71907");
  EXPECT_EQ(table.pressure[1], 100300);
  EXPECT_NEAR(table.value[1], 258.3, 1e-9);
}

TEST(SharedObservations, SurfaceReportsOfSeveralSubsets) {
  NEEDS(data("obs_bufr/synop_multi_subset_uncompressed.bufr"));
  const auto [table, account] = read_observations(data("obs_bufr/synop_multi_subset_uncompressed.bufr"));
  EXPECT_TRUE(account.balanced());
  EXPECT_EQ(read_of(account), 12u);
  EXPECT_EQ(values(table, ReportKind::synop, "2t").read, 12u);
  EXPECT_EQ(table.station_name(0), "01027");
  EXPECT_NEAR(table.value[0], 276.45, 1e-9);
  EXPECT_EQ(table.time[0], parse_time("2015-01-26T10"));
}

TEST(SharedObservations, Aircraft) {
  NEEDS(data("obs_bufr/perf_aircraft.bufr"));
  // A tenth of the file: its first messages.
  const std::string bytes = read_file(data("obs_bufr/perf_aircraft.bufr")).substr(0, 110'000);
  const auto [table, account] = read_bufr(bytes, "perf_aircraft.bufr");
  EXPECT_TRUE(account.balanced());
  EXPECT_EQ(table.station_name(0), "EU6349");
  EXPECT_NEAR(table.value[0], 230.8, 1e-9);
  EXPECT_NEAR(table.pressure[0], 37600, 100);  // 7620 m, flight level 250: 376 hPa
  EXPECT_EQ(account.reports.at({"perf_aircraft.bufr", "aircraft"}).used,
            account.reports.at({"perf_aircraft.bufr", "aircraft"}).read);
}

TEST(SharedObservations, OtherCategoriesAreCounted) {
  NEEDS(data("obs_bufr/compress_3.bufr"));
  const auto [table, account] = read_observations(data("obs_bufr/compress_3.bufr"));
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(read_of(account), 3u * 128);
  EXPECT_TRUE(account.balanced());
}

TEST(SharedObservations, RawNetcdfReports) {
  NEEDS(data("obs_sao_19950318/95031800_sao.cdf"));
  const auto path = data("obs_sao_19950318/95031800_sao.cdf");
  EXPECT_EQ(observation_format(path), ObservationFormat::netcdf_points);
  ColumnMap map;
  map.station = "id";
  map.latitude = "lat";
  map.longitude = "lon";
  map.height = "elev";
  map.time_format = "%Y %m %d %H:%M";
  map.wind_direction = "DIR";
  map.wind_speed = "SPD";
  map.values = {{"T", "2t", "", {}}, {"TD", "2d", "", {}}, {"PSL", "msl", "", {}}};
  const auto [table, account] = read_observations(path, &map);
  EXPECT_TRUE(account.balanced());
  EXPECT_EQ(read_of(account), 2084u);
  EXPECT_EQ(table.station_name(0), "NUQ");
  EXPECT_NEAR(table.value[0], 288.15, 1e-6);
  EXPECT_EQ(table.time[0], parse_time("1995-03-17T23:45"));
}

}  // namespace
}  // namespace zonda::ingest
