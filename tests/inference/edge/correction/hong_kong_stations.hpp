#pragma once
// The automatic stations of Hong Kong (shared/data/hko_aws), and forecasts made from their own climatology.
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "inference/edge/forecast/regional_forecast.hpp"

namespace zonda::test {

inline std::filesystem::path hong_kong_file() {
  const char* elsewhere = std::getenv("ZONDA_SHARED_DATA");
  const std::filesystem::path shared =
      elsewhere ? elsewhere : std::filesystem::path(ZONDA_SOURCE_DIR) / ".." / "shared" / "data";
  return shared / "hko_aws" / "hko_aws_public.csv.gz";
}

using Series = std::map<Time, double>;

/// By station, of one column of the file; `scale value + offset`.
inline std::map<std::string, Series> hong_kong(const std::string& column, double scale, double offset) {
  std::map<std::string, Series> stations;
  gzFile file = ::gzopen(hong_kong_file().c_str(), "rb");
  if (!file) fail(ErrorKind::data, "{}: cannot be read", hong_kong_file().string());
  char line[512];
  while (::gzgets(file, line, sizeof line)) {
    const std::string_view text(line);
    const std::size_t a = text.find(','), b = text.find(',', a + 1), c = text.find(',', b + 1);
    if (c == std::string_view::npos || text.substr(a + 1, b - a - 1) != column) continue;
    double value = 0;
    if (std::from_chars(text.data() + c + 1, text.data() + text.size(), value).ec != std::errc()) continue;
    stations[std::string(text.substr(b + 1, c - b - 1))][parse_time(text.substr(0, a))] = scale * value + offset;
  }
  ::gzclose(file);
  return stations;
}

/// The mean of the same hour of the day within 15 days, at each full hour of a series; reports count for the nearest
/// hour.
inline Series climatology(const Series& series) {
  std::map<std::int64_t, std::vector<std::pair<Time, double>>> by_hour_of_day;
  for (const auto& [time, value] : series) {
    const Time hour = std::chrono::floor<std::chrono::hours>(time + std::chrono::minutes(30));
    by_hour_of_day[static_cast<std::int64_t>(second_of_day(hour))].emplace_back(hour, value);
  }
  const Time first = std::chrono::floor<std::chrono::days>(series.begin()->first), last = series.rbegin()->first;
  Series means;
  for (const auto& [second, reports] : by_hour_of_day) {
    std::size_t begin = 0, end = 0;
    double sum = 0;
    for (Time time = first + Duration(second); time <= last + std::chrono::hours(1); time += std::chrono::days(1)) {
      for (; end < reports.size() && reports[end].first <= time + std::chrono::days(15); ++end)
        sum += reports[end].second;
      for (; begin < end && reports[begin].first < time - std::chrono::days(15); ++begin) sum -= reports[begin].second;
      if (end - begin >= 5) means[time] = sum / static_cast<double>(end - begin);
    }
  }
  return means;
}

/// Linear between full hours.
inline double between(const Series& hourly, Time time) {
  const auto after = hourly.lower_bound(time);
  if (after == hourly.begin()) return after->second;
  if (after == hourly.end()) return hourly.rbegin()->second;
  const auto before = std::prev(after);
  const double share =
      static_cast<double>((time - before->first).count()) / static_cast<double>((after->first - before->first).count());
  return (1 - share) * before->second + share * after->second;
}
/// A run's values by their times.
inline Series by_time(const edge::RegionalForecast& run, const std::vector<double>& series) {
  Series values;
  for (std::size_t k = 0; k < run.leads.size(); ++k) values[run.valid(k)] = series[k];
  return values;
}

/// A day's forecast around a station from midnight: the climatology and a bias, hourly up to a day; wind speed (10si)
/// as a wind from the west, and never below nothing.
inline edge::RegionalForecast day_of_climatology(const Series& means, Time initial, double bias,
                                                 const std::string& channel) {
  edge::RegionalForecast run(Grid::regional(22.6, 22.2, 2, 113.9, 114.3, 2));
  const bool speed = channel == "10si";
  for (const std::string& name : speed ? std::vector<std::string>{"10u", "10v"} : std::vector<std::string>{channel})
    run.channels.push_back(parse_channel(name));
  run.initial = initial;
  std::vector<float> values;
  for (int hour = 0; hour <= 24; ++hour) {
    const auto mean = means.find(initial + std::chrono::hours(hour));
    if (mean == means.end()) continue;
    run.leads.emplace_back(hour * 3600);
    values.insert(values.end(), 4,
                  static_cast<float>(speed ? std::max(0.0, mean->second + bias) : mean->second + bias));
    if (speed) values.insert(values.end(), 4, 0.0F);
  }
  run.values = edge::ForecastValues(std::move(values));
  return run;
}

}  // namespace zonda::test
