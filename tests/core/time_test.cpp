#include "core/time.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"

namespace zonda {
namespace {

using namespace std::chrono_literals;

template <class Run>
ErrorKind kind_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "no error";
  return ErrorKind::failure;
}

TEST(Time, reads_iso_forms) {
  for (const char* text : {"2018-10-06T18", "2018-10-06T18:00", "2018-10-06T18:00:00", "2018-10-06T18:00:00Z",
                           "2018-10-06 18:00:00Z", "2018-10-06 18", "2018-10-06T18Z", "2018-10-06T18:00:00.000Z"})
    EXPECT_EQ(to_string(parse_time(text)), "2018-10-06T18:00:00Z") << text;
  EXPECT_EQ(to_string(parse_time("2018-10-06")), "2018-10-06T00:00:00Z");
  EXPECT_EQ(compact(parse_time("2018-10-06T18")), "2018100618");
}

TEST(Time, knows_leap_years) {
  EXPECT_EQ(to_string(parse_time("2020-02-28") + 24h), "2020-02-29T00:00:00Z");
  EXPECT_EQ(to_string(parse_time("2019-02-28") + 24h), "2019-03-01T00:00:00Z");
  EXPECT_EQ(to_string(parse_time("2000-02-28") + 24h), "2000-02-29T00:00:00Z");
  EXPECT_EQ(to_string(parse_time("1900-02-28") + 24h), "1900-03-01T00:00:00Z");
  EXPECT_EQ(parse_time("1970-01-01").time_since_epoch().count(), 0);
  EXPECT_LT(parse_time("1582-10-04"), parse_time("1582-10-15"));
  EXPECT_EQ(parse_time("1582-10-15") - parse_time("1582-10-04"), 24h * 11);  // proleptic: no gap
}

TEST(Time, refuses_what_is_no_date) {
  for (const char* text : {"",
                           "2018",
                           "2018-10",
                           "2018-13-01",
                           "2018-00-01",
                           "2018-02-29",
                           "2018-10-32",
                           "2018-10-00",
                           "18-10-06",
                           "2018-1-1",
                           "2018/10/06",
                           "20181006",
                           "2018-10-06T",
                           "2018-10-06T24",
                           "2018-10-06T18:60",
                           "2018-10-06T18:00:60",
                           "2018-10-06T18:00:00+02:00",
                           "2018-10-06T18:00:00.5",
                           "2018-10-06x",
                           " 2018-10-06",
                           "2018-10-06 ",
                           "now",
                           "2018-10-06T1",
                           "2018-10-06Z18",
                           "2018-10-06T18:",
                           "-2018-10-06",
                           "2018-10-06T18:00:00ZZ"})
    EXPECT_EQ(kind_of([&] { parse_time(text); }), ErrorKind::usage) << text;
}

TEST(Time, round_trips) {
  for (std::int64_t s = -4'000'000'000; s < 8'000'000'000; s += 99'999'989) {
    const Time time{Duration(s)};
    EXPECT_EQ(parse_time(to_string(time)), time);
  }
}

TEST(DurationText, reads_both_forms) {
  EXPECT_EQ(parse_duration("6h"), 6h);
  EXPECT_EQ(parse_duration("30min"), 30min);
  EXPECT_EQ(parse_duration("10d"), 240h);
  EXPECT_EQ(parse_duration("45s"), 45s);
  EXPECT_EQ(parse_duration("0h"), 0s);
  EXPECT_EQ(parse_duration("PT6H"), 6h);
  EXPECT_EQ(parse_duration("P10D"), 240h);
  EXPECT_EQ(parse_duration("P1DT12H"), 36h);
  EXPECT_EQ(parse_duration("PT1H30M"), 90min);
  EXPECT_EQ(parse_duration("P1W"), 168h);
}

TEST(DurationText, refuses_the_rest) {
  for (const char* text : {"", "6", "h", "-6h", "6.5h", "6 h", "6hours", "6H", "6m", "P", "PT", "P6H", "P1DT", "PT6",
                           "P1M", "P1Y", "1d12h", "99999999999999999999h", "6h "})
    EXPECT_EQ(kind_of([&] { parse_duration(text); }), ErrorKind::usage) << text;
}

TEST(DurationText, is_shortest_and_exact) {
  EXPECT_EQ(to_string(Duration(6h)), "6h");
  EXPECT_EQ(to_string(Duration(240h)), "10d");
  EXPECT_EQ(to_string(Duration(90min)), "90min");
  EXPECT_EQ(to_string(Duration(45s)), "45s");
  EXPECT_EQ(to_string(Duration(36h)), "36h");
  for (std::int64_t s = 0; s < 400'000; s += 601) EXPECT_EQ(parse_duration(to_string(Duration(s))), Duration(s));
}

TEST(TimeUnits, decode_what_files_hold) {
  const auto at = [](const char* unit, double value) { return to_string(parse_time_unit(unit).decode(value)); };
  EXPECT_EQ(at("hours since 1900-01-01 00:00:0.0", 1'043'142), "2019-01-01T06:00:00Z");  // ERA5
  EXPECT_EQ(at("hours since 1900-01-01", 0), "1900-01-01T00:00:00Z");
  EXPECT_EQ(at("seconds since 1970-01-01", 1'538'848'800), "2018-10-06T18:00:00Z");
  EXPECT_EQ(at("days since 1959-01-01", 0.25), "1959-01-01T06:00:00Z");
  // The standard calendar is Julian before 1582: 730122 days later it is 2000-01-01 (cftime says so too).
  EXPECT_EQ(at("days since 1-1-1 00:00:00", 730'121), "2000-01-01T00:00:00Z");
  EXPECT_EQ(to_string(parse_time_unit("days since 1-1-1", "proleptic_gregorian").decode(730'119)), "2000-01-01T00:00:00Z");
  EXPECT_EQ(at("days since 1582-10-04", 1), "1582-10-15T00:00:00Z");
  EXPECT_EQ(at("minutes since 2018-10-06T12:00:00Z", 90), "2018-10-06T13:30:00Z");
  EXPECT_EQ(at("hours since 1982-1-1 0:0:0", -6), "1981-12-31T18:00:00Z");
  EXPECT_EQ(at("Hours since 2000-01-01 00:00 UTC", 1), "2000-01-01T01:00:00Z");
  EXPECT_EQ(at("h since 2000-01-01 12:00:00 +00:00", 1), "2000-01-01T13:00:00Z");
  EXPECT_EQ(at("days since 2000-01-01", 1.0 / 3), "2000-01-01T08:00:00Z");  // rounded to the second
}

TEST(TimeUnits, refuse_the_rest) {
  for (const char* unit :
       {"", "hours", "hours after 1900-01-01", "fortnights since 1900-01-01", "months since 1900-01-01", "hours since",
        "hours since yesterday", "hours since 1900-02-30", "K", "hours since 1900-01-01 00:00:00 +05:00"})
    EXPECT_EQ(kind_of([&] { parse_time_unit(unit); }), ErrorKind::data) << unit;
  for (const char* calendar : {"noleap", "360_day", "julian", "365_day"})
    EXPECT_EQ(kind_of([&] { parse_time_unit("hours since 1900-01-01", calendar); }), ErrorKind::data) << calendar;
  EXPECT_NO_THROW(parse_time_unit("hours since 1900-01-01", "gregorian"));
  EXPECT_NO_THROW(parse_time_unit("hours since 1900-01-01", "proleptic_gregorian"));
  EXPECT_EQ(kind_of([] { parse_time_unit("days since 1900-01-01").decode(1e300); }), ErrorKind::data);
  EXPECT_EQ(kind_of([] { parse_time_unit("days since 1900-01-01").decode(std::nan("")); }), ErrorKind::data);
}

TEST(TimeOfYear, is_a_fraction) {
  EXPECT_EQ(day_of_year(parse_time("2019-01-01")), 0);
  EXPECT_EQ(day_of_year(parse_time("2019-01-02T12")), 1.5);
  EXPECT_EQ(day_of_year(parse_time("2019-12-31")), 364);
  EXPECT_EQ(day_of_year(parse_time("2020-12-31")), 365);
  EXPECT_EQ(second_of_day(parse_time("2019-07-01T06:30:01")), 23401);
  EXPECT_EQ(second_of_day(parse_time("1950-07-01T23:59:59")), 86399);
  EXPECT_EQ(year_fraction(parse_time("2020-07-02")), 0.5);
  EXPECT_NEAR(year_fraction(parse_time("2019-07-02T12")), 0.5, 1e-15);
}

}  // namespace
}  // namespace zonda
