#include "assimilation/quality_control/checks.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "assimilation/quality_control/quality_control.hpp"
#include "core/atomic_file.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "ingest/observations/observation_summary.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"

namespace zonda::assimilation {
namespace {

using ingest::Observation;
using ingest::ObservationTable;
using ingest::QualityFlag;
using ingest::ReportKind;
using enum ingest::QualityFlag;

Observation entry(const char* station, const char* variable, double value) {
  Observation made;
  made.station = station;
  made.kind = ReportKind::synop;
  made.latitude = 50;
  made.longitude = 7;
  made.time = parse_time("2020-01-01T12");
  made.variable = ingest::variable_number(variable);
  made.value = value;
  return made;
}

ObservationTable table_of(const std::vector<Observation>& entries) {
  ObservationTable table;
  for (const Observation& one : entries) table.add(one);
  return table;
}

TEST(Limits, reject_what_cannot_be) {
  ObservationTable table = table_of({entry("A", "2t", 372.2), entry("A", "2t", 290), entry("A", "sp", 10040),
                                     entry("A", "10u", 224), entry("A", "10v", -3), entry("A", "2d", NAN)});
  check_limits(table);
  EXPECT_EQ(table.flag, (std::vector<QualityFlag>{bounds, accepted, bounds, bounds, bounds, bounds}));
  ObservationTable own = table_of({entry("A", "2t", 290)});
  check_limits(own, {{"2t", 200, 280}});
  EXPECT_EQ(own.flag[0], bounds);
}

TEST(Limits, keep_the_first_reason) {
  ObservationTable table = table_of({entry("A", "2t", 400)});
  table.reject(0, level);
  check_limits(table);
  EXPECT_EQ(table.flag[0], level);
}

TEST(WindowAndArea, reject_what_is_outside) {
  ObservationTable table = table_of({entry("A", "2t", 290), entry("B", "2t", 290), entry("C", "2t", 290)});
  table.time[1] += Duration(3601);
  check_window(table, parse_time("2020-01-01T11"), parse_time("2020-01-01T13"));
  EXPECT_EQ(table.flag, (std::vector<QualityFlag>{accepted, window, accepted}));
  table.longitude[2] = 351;
  check_area(table, 60, 40, 350, 10);  // over the prime meridian
  EXPECT_EQ(table.flag[0], accepted);
  EXPECT_EQ(table.flag[2], accepted);
  check_area(table, 60, 40, 355, 5);
  EXPECT_EQ(table.flag[0], domain);
  EXPECT_EQ(table.flag[2], domain);
}

TEST(Duplicates, keep_the_first) {
  ObservationTable table = table_of({entry("A", "2t", 290), entry("A", "2t", 290.5), entry("B", "2t", 290),
                                     entry("A", "2d", 290), entry("A", "2t", 290)});
  table.latitude[4] += 0.02;
  check_duplicates(table);
  EXPECT_EQ(table.flag, (std::vector<QualityFlag>{accepted, duplicate, accepted, accepted, accepted}));
}

TEST(Blacklist, names_stations_variables_and_times) {
  const ScratchFolder folder("blacklist");
  const auto path = folder.path() / "blacklist.txt";
  write_file(path, "# too warm since the move\nA 2t 2020-01-01\nB  # everything\n* sp\nC 2t * 2019-12-31\n");
  ObservationTable table = table_of({entry("A", "2t", 290), entry("A", "2d", 280), entry("B", "2d", 280),
                                     entry("D", "sp", 1e5), entry("C", "2t", 290)});
  apply_blacklist(table, read_blacklist(path));
  EXPECT_EQ(table.flag, (std::vector<QualityFlag>{blacklisted, accepted, blacklisted, blacklisted, accepted}));
  write_file(path, "A 2tt\n");
  try {
    read_blacklist(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_TRUE(std::string(error.what()).starts_with(path.string() + ", line 1: ")) << error.what();
  }
}

TEST(Tracks, lose_the_position_that_no_aircraft_can_have) {
  // 250 m/s eastward along 50 N, a fix every five minutes; the third is 5 degrees too far north, the last 20.
  ObservationTable table;
  for (int k = 0; k < 8; ++k) {
    Observation fix = entry("EU6349", "t", 220);
    fix.kind = ReportKind::aircraft;
    fix.time += Duration(300 * k);
    fix.longitude = 7 + 1.05 * k;
    if (k == 2) fix.latitude += 5;
    if (k == 7) fix.latitude += 20;
    table.add(fix);
    fix.variable = ingest::variable_number("u");
    table.add(fix);
  }
  check_tracks(table, ReportKind::aircraft, 500);
  for (std::size_t i = 0; i < table.size(); ++i)
    EXPECT_EQ(table.flag[i], i / 2 == 2 || i / 2 == 7 ? track : accepted) << i;
}

TEST(Tracks, leave_other_kinds_and_unknown_platforms) {
  ObservationTable table = table_of({entry("A", "2t", 290), entry("A", "2t", 290)});
  table.latitude[1] = -50;
  check_tracks(table, ReportKind::aircraft, 500);
  EXPECT_EQ(table.used().size(), 2u);
}

TEST(QualityControl, accounts_for_every_value) {
  ObservationTable table;
  for (int i = 0; i < 50; ++i)
    table.add(entry("A", i % 2 == 0 ? "2t" : "sp", i % 7 == 0 ? 1e9 : i % 2 == 0 ? 290 : 1e5));
  table.time[3] = parse_time("2020-01-02");
  QualityControlConfig config;
  check_observations(table, config, parse_time("2020-01-01T09"), parse_time("2020-01-01T15"));
  for (std::size_t i = 0; i < table.size(); ++i) table.background[i] = table.value[i] - 1;
  check_departures(table, config);
  const auto record = ingest::summarise(table, {});
  std::uint64_t read = 0, counted = 0;
  for (const auto& row : record["values"]) {
    read += row["read"].get<std::uint64_t>();
    counted += row["used"].get<std::uint64_t>();
    for (const auto& [reason, count] : row["rejected"].items()) counted += count.get<std::uint64_t>();
  }
  EXPECT_EQ(read, 50u);
  EXPECT_EQ(counted, read);
  EXPECT_EQ(record["values"][0]["departures"]["mean"], 1);
  const std::string text = ingest::summary_table(table, {});
  EXPECT_NE(text.find("2t"), std::string::npos);
  EXPECT_NE(text.find("duplicate"), std::string::npos);
}

TEST(QualityControl, is_described_in_a_run_file) {
  QualityControlConfig config;
  config::read(config::parse_yaml("area: [60, 0, 40, 20]\nbackground_limit: 3\nlimits:\n"
                                  "  - {variable: 2t, minimum: 200, maximum: 330}\n"
                                  "thinning:\n  - {kind: aircraft, spacing: 50000, superob: true}\n",
                                  "run.yaml"),
               config);
  EXPECT_EQ(config.background_limit, 3);
  EXPECT_EQ(config.limits[0].maximum, 330);
  EXPECT_TRUE(config.thinning[0].superob);
  EXPECT_THROW(config::read(config::parse_yaml("area: [60, 0]\n", "run.yaml"), config), Error);
}

}  // namespace
}  // namespace zonda::assimilation
