// What is known to be wrong in real reports is rejected, each value with its reason.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "assimilation/quality_control/quality_control.hpp"
#include "core/atomic_file.hpp"
#include "ingest/observations/files/bufr_message.hpp"
#include "ingest/observations/files/bufr_reader.hpp"
#include "ingest/observations/files/observation_file.hpp"
#include "ingest/observations/observation_summary.hpp"

namespace zonda::assimilation {
namespace {

using ingest::QualityFlag;

std::filesystem::path data(const std::string& name) {
  const char* place = std::getenv("ZONDA_SHARED_DATA");
  return std::filesystem::path(place != nullptr ? place : ZONDA_SOURCE_DIR "/../shared/data") / name;
}

#define NEEDS(file) \
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not here"

void expect_sums(const ingest::ObservationTable& table) {
  for (const auto& [key, count] : ingest::count_values(table)) {
    std::uint64_t sum = count.used;
    for (const auto& [reason, n] : count.rejected) sum += n;
    EXPECT_EQ(sum, count.read);
  }
}

TEST(RealReports, a_surface_temperature_of_372_kelvin) {
  NEEDS(data("obs_bufr/perf_synop.bufr"));
  const std::string bytes = read_file(data("obs_bufr/perf_synop.bufr"));
  const auto messages = ingest::scan_bufr(bytes);
  ASSERT_EQ(messages.size(), 15824u);  // as bufr_count
  // Messages 2501 to 2600; number 2519 is the one.
  const auto begin = messages[2500].offset, end = messages[2600].offset;
  auto [table, account] = ingest::read_bufr(std::string_view(bytes).substr(begin, end - begin), "perf_synop.bufr");
  EXPECT_TRUE(account.balanced());
  check_limits(table);
  expect_sums(table);
  std::vector<std::string> wrong;
  for (std::size_t i = 0; i < table.size(); ++i)
    if (table.flag[i] == QualityFlag::bounds) wrong.push_back(table.describe(i));
  EXPECT_EQ(wrong,
            std::vector<std::string>{"perf_synop.bufr, message 19, station 67201, 2t 372.2 K at 2018-11-02T12:00:00Z"});
}

TEST(RealReports, raw_surface_reports_out_of_range) {
  NEEDS(data("obs_sao_19950318"));
  ingest::ColumnMap map;
  map.station = "id";
  map.latitude = "lat";
  map.longitude = "lon";
  map.height = "elev";
  map.time_format = "%Y %m %d %H:%M";
  map.wind_direction = "DIR";
  map.wind_speed = "SPD";
  map.values = {{"T", "2t", "", {}}, {"TD", "2d", "", {}}, {"PSL", "msl", "", {}}};
  std::map<std::string, std::uint64_t> out_of_range;
  std::uint64_t without_position = 0;
  for (const auto& file : std::filesystem::directory_iterator(data("obs_sao_19950318"))) {
    auto [table, account] = ingest::read_observations(file.path(), &map);
    EXPECT_TRUE(account.balanced());
    for (const auto& [key, count] : account.reports)
      if (const auto found = count.rejected.find(QualityFlag::position); found != count.rejected.end())
        without_position += found->second;
    check_observations(table, {}, parse_time("1995-03-17T20"), parse_time("1995-03-19"));
    expect_sums(table);
    for (std::size_t i = 0; i < table.size(); ++i) {
      const auto limit = std::find_if(standard_limits().begin(), standard_limits().end(),
                                      [&](const ValueLimit& l) { return l.variable == table.info(i).short_name; });
      if (table.value[i] >= limit->minimum && table.value[i] <= limit->maximum) continue;
      EXPECT_TRUE(table.flag[i] == QualityFlag::bounds || table.flag[i] == QualityFlag::window) << table.describe(i);
      ++out_of_range[limit->variable];
    }
  }
  // Dew points of 9999 C and pressures of 0 hPa. The temperatures of 322 to 406 C come without a latitude and
  // longitude.
  EXPECT_GT(out_of_range["2d"], 0u);
  EXPECT_GT(out_of_range["msl"], 0u);
  EXPECT_GT(without_position, 1000u);
}

}  // namespace
}  // namespace zonda::assimilation
