#include <gtest/gtest.h>

#include <cmath>

#include "core/atomic_file.hpp"
#include "postproc/verification/climatology.hpp"
#include "tests/postproc/memory_fields.hpp"

namespace zonda::postproc {
namespace {

const parallel::Communicator self = parallel::Communicator::self();

double phase_of_year(Time t) {
  return 2 * M_PI * year_fraction(t);
}
double phase_of_day(Time t) {
  return 2 * M_PI * second_of_day(t) / 86400;
}

double seasons(const Channel& channel, Time t, double latitude, double longitude) {
  return (channel.level_hpa == 500 ? 5000 : 8000) + 0.5 * latitude +
         20 * std::cos(phase_of_year(t) - 0.3) * latitude / 90 + 3 * std::sin(phase_of_day(t) + longitude * M_PI / 180);
}

TEST(Climatology, HarmonicsReturnWhatTheyMade) {
  const MemorySeries series(Grid::latlon(4, 8, false), {{"z", 500}, {"z", 850}},
                            regular_times(parse_time("1982-01-01"), 304 * 4, Duration(21600)), seasons);
  const ClimatologyDefinition definition = define_climatology(series, {}, {});
  EXPECT_FALSE(definition.windowed);
  EXPECT_EQ(definition.annual, 1);
  EXPECT_EQ(definition.daily, 1);
  ScratchFolder folder("climatology");
  const Climatology climatology = Climatology::fit(series, definition, folder.path() / "c.bin", self);
  std::vector<double> field(series.grid().size());
  for (const char* text : {"1982-07-04T06", "1982-12-24T18", "1983-01-15T03"}) {
    const Time time = parse_time(text);
    for (std::size_t channel = 0; channel < 2; ++channel) {
      climatology.evaluate(channel, time, field);
      const std::vector<float> expected = evaluate(series.grid(), seasons, series.channels()[channel], time);
      for (std::size_t i = 0; i < field.size(); ++i) EXPECT_NEAR(field[i], expected[i], 2e-3) << text;
    }
  }
}

TEST(Climatology, TenDaysGiveMeanAndDailyCycleOnly) {
  const MemorySeries series(Grid::latlon(4, 8, false), {{"z", 500}},
                            regular_times(parse_time("2018-10-06T18"), 28, Duration(21600)), seasons);
  const ClimatologyDefinition definition = define_climatology(series, {}, {});
  EXPECT_EQ(definition.annual, 0);
  EXPECT_EQ(definition.daily, 1);
  EXPECT_EQ(definition.fields(), 3U);
  EXPECT_NE(definition.text().find("too short for an annual cycle"), std::string::npos) << definition.text();
}

TEST(Climatology, FewHoursADayGiveNoDailyCycle) {
  const MemorySeries series(Grid::latlon(4, 8, false), {{"z", 500}},
                            regular_times(parse_time("2018-10-06T00"), 40, Duration(43200)), seasons);
  EXPECT_EQ(define_climatology(series, {}, {}).fields(), 1U);
}

// WeatherBench 2's window, written out: years stacked, day 366 filled with day 365, wrapped, triangular weights.
TEST(Climatology, FiveYearsGiveTheTriangularWindow) {
  const auto noise = [](const Channel&, Time t, double latitude, double) {
    const double days = static_cast<double>(t.time_since_epoch().count()) / 86400;
    return 280 + 10 * std::cos(phase_of_year(t)) + std::sin(days * 1.7) * 4 + std::cos(phase_of_day(t)) * latitude / 30;
  };
  const Time first = parse_time("2000-01-01");
  const std::size_t count = (366 + 365 * 3 + 366) * 4;  // 2000 to 2004: two leap years
  const MemorySeries series(Grid::latlon(2, 4, false), {{"2t", 0}}, regular_times(first, count, Duration(21600)),
                            noise);
  const ClimatologyDefinition definition = define_climatology(series, {}, {});
  ASSERT_TRUE(definition.windowed);
  ScratchFolder folder("window");
  const Climatology climatology = Climatology::fit(series, definition, folder.path() / "c.bin", self);

  const auto expected = [&](std::size_t day, std::size_t slot, std::size_t point) {
    const double latitude = series.grid().latitudes()[point / 4];
    double sum = 0, weights = 0;
    for (int year = 2000; year <= 2004; ++year)
      for (int offset = -30; offset <= 30; ++offset) {
        const double weight = 1 - std::abs(offset) / 30.0;
        const auto other = static_cast<int>((day + 366 + static_cast<std::size_t>(offset + 366)) % 366);
        const bool leap = year % 4 == 0;
        const int source = other == 365 && !leap ? 364 : other;
        const Time time = parse_time(std::to_string(year) + "-01-01") + std::chrono::days(source) +
                          Duration(21600 * static_cast<long>(slot));
        sum += weight * static_cast<double>(static_cast<float>(noise({}, time, latitude, 0)));
        weights += weight;
      }
    return sum / weights;
  };
  std::vector<double> field(8);
  for (const auto& [text, day, slot] :
       {std::tuple("2001-01-01T00", 0, 0), std::tuple("2004-12-31T18", 365, 3), std::tuple("2003-07-10T12", 190, 2)}) {
    climatology.evaluate(0, parse_time(text), field);
    for (std::size_t i = 0; i < 8; ++i)
      EXPECT_NEAR(field[i], expected(static_cast<std::size_t>(day), static_cast<std::size_t>(slot), i), 1e-4) << text;
  }
  // Between the six-hourly fields: the line between them.
  std::vector<double> before(8), after(8);
  climatology.evaluate(0, parse_time("2003-07-10T12"), before);
  climatology.evaluate(0, parse_time("2003-07-10T18"), after);
  climatology.evaluate(0, parse_time("2003-07-10T15"), field);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(field[i], 0.5 * (before[i] + after[i]), 1e-9);
}

TEST(Climatology, TheFileIsTheSameOnAnyNumberOfRanksAndIsTakenUpAgain) {
  const MemorySeries series(Grid::latlon(6, 8, false), {{"z", 500}, {"z", 850}},
                            regular_times(parse_time("1982-01-01"), 320 * 4, Duration(21600)), seasons);
  const ClimatologyDefinition definition = define_climatology(series, {}, {});
  ScratchFolder folder("climatology-ranks");
  Climatology::fit(series, definition, folder.path() / "1.bin", self);
  parallel::run_on_threads(4, [&](const parallel::Communicator& ranks) {
    Climatology::fit(series, definition, folder.path() / "4.bin", ranks);
  });
  EXPECT_EQ(read_file(folder.path() / "1.bin"), read_file(folder.path() / "4.bin"));
  const auto written = std::filesystem::last_write_time(folder.path() / "1.bin");
  Climatology::fit(series, definition, folder.path() / "1.bin", self);
  EXPECT_EQ(std::filesystem::last_write_time(folder.path() / "1.bin"), written);
}

TEST(Climatology, ErrorsNameWhatIsWrong) {
  const MemorySeries series(
      Grid::latlon(4, 8, false), {{"z", 500}}, regular_times(parse_time("2018-10-06T18"), 28, Duration(21600)),
      [](const Channel&, Time t, double, double) { return t == parse_time("2018-10-08T00") ? std::nan("") : 1.0; });
  const auto [kind, message] =
      error_of([&] { define_climatology(series, parse_time("1990-01-01"), parse_time("1991-01-01")); });
  EXPECT_EQ(kind, ErrorKind::data);
  EXPECT_NE(message.find("no time between 1990-01-01T00:00:00Z"), std::string::npos) << message;
  ScratchFolder folder("climatology-nan");
  const auto [nan_kind, nan_message] =
      error_of([&] { Climatology::fit(series, define_climatology(series, {}, {}), folder.path() / "c.bin", self); });
  EXPECT_EQ(nan_kind, ErrorKind::data);
  EXPECT_EQ(nan_message, "climatology: z500 has a missing value at 2018-10-08T00:00:00Z");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  write_file(folder.path() / "bad.bin", "something else");
  EXPECT_EQ(error_of([&] { Climatology{folder.path() / "bad.bin"}; }).first, ErrorKind::data);
}

}  // namespace
}  // namespace zonda::postproc
