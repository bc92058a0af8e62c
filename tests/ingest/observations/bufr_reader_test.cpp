#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "bufr_writing.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"
#include "ingest/observations/files/bufr_message.hpp"
#include "ingest/observations/files/bufr_reader.hpp"

namespace zonda::ingest {
namespace {

/// The entries of one variable, in order.
std::vector<Observation> of(const ObservationTable& table, const char* variable) {
  std::vector<Observation> found;
  for (std::size_t i = 0; i < table.size(); ++i)
    if (table.variable[i] == variable_number(variable)) found.push_back(table[i]);
  return found;
}

std::uint64_t rejected(const ReadingAccount& account, QualityFlag reason) {
  std::uint64_t sum = 0;
  for (const auto& [key, count] : account.reports)
    if (const auto found = count.rejected.find(reason); found != count.rejected.end()) sum += found->second;
  return sum;
}

std::uint64_t used(const ReadingAccount& account) {
  std::uint64_t sum = 0;
  for (const auto& [key, count] : account.reports) sum += count.used;
  return sum;
}

class SurfaceReports : public testing::TestWithParam<bool> {};

TEST_P(SurfaceReports, come_with_station_place_time_and_si_values) {
  const auto [table, account] = read_bufr(encode_synop(3, GetParam(), 1), "synop.bufr");
  EXPECT_TRUE(account.balanced());
  EXPECT_EQ(used(account), 3u);
  const auto pressure = of(table, "sp"), temperature = of(table, "2t"), u = of(table, "10u"), v = of(table, "10v");
  ASSERT_EQ(pressure.size(), 3u);
  ASSERT_EQ(temperature.size(), 2u);  // that of subset 2 is missing
  ASSERT_EQ(u.size(), 3u);
  EXPECT_EQ(table.size(), 3u + 2 + 3 + 3);
  EXPECT_EQ(pressure[2].station, "10012");
  EXPECT_EQ(pressure[2].kind, ReportKind::synop);
  EXPECT_NEAR(pressure[2].value, 100200, 1e-9);
  EXPECT_NEAR(pressure[2].height, 121.5, 1e-9);
  EXPECT_NEAR(pressure[2].latitude, 52, 1e-9);
  EXPECT_NEAR(pressure[2].longitude, 359, 1e-9);
  EXPECT_EQ(pressure[2].time, parse_time("2020-01-01T12:02"));
  EXPECT_EQ(pressure[2].source.message, 1u);
  EXPECT_EQ(pressure[2].source.subset, 3u);
  EXPECT_TRUE(std::isnan(pressure[2].pressure));
  EXPECT_NEAR(temperature[1].value, 282, 1e-9);
  EXPECT_NEAR(temperature[1].height, 120, 1e-9);
  EXPECT_NEAR(u[1].value, 6, 1e-9);
  EXPECT_NEAR(v[1].value, 0, 1e-9);
}

INSTANTIATE_TEST_SUITE_P(bufr, SurfaceReports, testing::Bool(),
                         [](const auto& test) { return test.param ? "compressed" : "uncompressed"; });

TEST(BufrReader, places_the_levels_of_a_sounding_in_pressure_time_and_drift) {
  BufrRecipe recipe{.category = 2, .descriptors = {309052}, .replications = {0}, .extended_replications = {2}};
  recipe.values = {{"blockNumber", {72}},
                   {"stationNumber", {357}},
                   {"year", {2020}},
                   {"month", {1}},
                   {"day", {1}},
                   {"hour", {11}},
                   {"minute", {30}},
                   {"second", {0}},
                   {"latitude", {35}},
                   {"longitude", {-97}},
                   {"#1#timePeriod", {0}},
                   {"#1#pressure", {97000}},
                   {"#1#nonCoordinateGeopotentialHeight", {400}},
                   {"#1#airTemperature", {290}},
                   {"#1#dewpointTemperature", {280}},
                   {"#2#timePeriod", {1200}},
                   {"#2#pressure", {50000}},
                   {"#2#latitudeDisplacement", {0.1}},
                   {"#2#longitudeDisplacement", {0.2}},
                   {"#2#airTemperature", {255}},
                   {"#2#windDirection", {180}},
                   {"#2#windSpeed", {20}}};
  const auto [table, account] = read_bufr(encode_bufr(recipe), "temp.bufr");
  EXPECT_EQ(used(account), 1u);
  const auto z = of(table, "z"), t = of(table, "t"), q = of(table, "q"), v = of(table, "v");
  ASSERT_EQ(z.size(), 1u);
  ASSERT_EQ(t.size(), 2u);
  ASSERT_EQ(q.size(), 1u);
  ASSERT_EQ(v.size(), 1u);
  EXPECT_EQ(z[0].station, "72357");
  EXPECT_NEAR(z[0].value, 400 * 9.80665, 1e-6);
  // e = 9.92 hPa at a dew point of 280 K (Buck 1981); q = 0.622 e / (p - 0.378 e)
  EXPECT_NEAR(q[0].value, 0.00639, 2e-5);
  EXPECT_NEAR(t[0].longitude, 263, 1e-6);
  EXPECT_NEAR(t[1].pressure, 50000, 1e-6);
  EXPECT_NEAR(t[1].latitude, 35.1, 1e-5);
  EXPECT_NEAR(t[1].longitude, 263.2, 1e-5);
  EXPECT_EQ(t[1].time, parse_time("2020-01-01T11:50"));
  EXPECT_NEAR(v[0].value, 20, 1e-9);
}

TEST(BufrReader, gives_aircraft_the_pressure_of_the_standard_atmosphere) {
  BufrRecipe recipe{.category = 4, .descriptors = {311001}};
  recipe.values = {{"year", {2020}},          {"month", {1}},          {"day", {1}},       {"hour", {12}},
                   {"minute", {0}},           {"latitude", {60}},      {"longitude", {6}}, {"height", {11000}},
                   {"airTemperature", {220}}, {"windDirection", {90}}, {"windSpeed", {40}}};
  recipe.texts = {{"aircraftFlightNumber", "EU6349"}};
  const auto [table, account] = read_bufr(encode_bufr(recipe), "amdar.bufr");
  const auto t = of(table, "t"), u = of(table, "u");
  ASSERT_EQ(t.size(), 1u);
  EXPECT_EQ(t[0].station, "EU6349");
  EXPECT_EQ(t[0].kind, ReportKind::aircraft);
  EXPECT_NEAR(t[0].pressure, 22632, 1);  // ICAO standard atmosphere at the tropopause
  EXPECT_NEAR(u[0].value, -40, 1e-9);
}

TEST(BufrReader, counts_what_it_rejects_with_its_reason) {
  BufrRecipe nowhere{.category = 4, .descriptors = {311001}};
  nowhere.values = {{"year", {2020}}, {"month", {1}}, {"day", {1}}, {"hour", {12}}, {"airTemperature", {220}}};
  BufrRecipe timeless = nowhere;
  timeless.values = {{"latitude", {60}}, {"longitude", {6}}, {"airTemperature", {220}}};
  BufrRecipe empty = nowhere;
  empty.values = {{"year", {2020}}, {"month", {1}},    {"day", {1}},
                  {"hour", {12}},   {"latitude", {1}}, {"longitude", {1}}};
  BufrRecipe unplaced = empty;
  unplaced.values.push_back({"airTemperature", {220}});
  BufrRecipe other{.category = 31, .descriptors = {301011, 301012, 301023}};
  const std::string good = encode_synop(2, false);
  std::string flipped = good;
  flipped[0] = 'X';
  std::string bytes = encode_bufr(nowhere) + encode_bufr(timeless) + encode_bufr(empty) + encode_bufr(unplaced) +
                      encode_bufr(other) + "\r\r\n001\r\r\nISMD01 EDZW 011200\r\r\n" + good + flipped +
                      good.substr(0, good.size() - 20) + good;
  const auto [table, account] = read_bufr(bytes, "mixed.bufr");
  EXPECT_TRUE(account.balanced());
  EXPECT_EQ(rejected(account, QualityFlag::position), 1u);
  EXPECT_EQ(rejected(account, QualityFlag::time), 1u);
  EXPECT_EQ(rejected(account, QualityFlag::missing), 1u);
  EXPECT_EQ(rejected(account, QualityFlag::unsupported), 1u);
  EXPECT_EQ(rejected(account, QualityFlag::damaged), 2u);  // the flipped and the truncated one
  EXPECT_EQ(used(account), 1u + 2 + 2);
  const auto t = of(table, "t");
  ASSERT_EQ(t.size(), 1u);
  EXPECT_EQ(t[0].flag, QualityFlag::level);
  ASSERT_FALSE(account.complaints.empty());
  EXPECT_EQ(account.complaints.front().text, "mixed.bufr, message 1, station unknown: latitude nan and longitude nan");
}

TEST(BufrReader, refuses_a_file_without_a_message) {
  for (const std::string bytes : {"", "no observations here"}) {
    try {
      read_bufr(bytes, "text.bufr");
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_STREQ(error.what(), "text.bufr: no BUFR message in this file");
    }
  }
}

// Any damage ends in values, a counted rejection or one Error(data); the messages around it are read.
TEST(BufrReader, survives_flipped_bytes) {
  const std::string good = encode_synop(2, false), compressed = encode_synop(3, true);
  const Philox random(1, "damage");
  for (std::uint64_t trial = 0; trial < 300; ++trial) {
    std::string damaged = trial % 2 == 0 ? good : compressed;
    for (std::uint64_t k = 0; k < 1 + trial % 3; ++k)
      damaged[random.integer(10 * trial + 2 * k, damaged.size())] =
          static_cast<char>(random.integer(10 * trial + 2 * k + 1, 256));
    const auto [table, account] = read_bufr(good + damaged + good, "damaged.bufr");
    EXPECT_TRUE(account.balanced());
    EXPECT_GE(used(account), 2u) << trial;
  }
}

}  // namespace
}  // namespace zonda::ingest
