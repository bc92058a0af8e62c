#include "inference/edge/correction/past_correction.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "inference/edge/forecast/forecast_file.hpp"

namespace zonda::edge {
namespace {

/// A corrected run that waits for its reports.
struct Waiting {
  Time initial, end;
  std::vector<Duration> leads;
  std::vector<CorrectedSeries> series;
};

struct Sums {
  std::string unit;
  std::size_t pairs = 0;
  double error = 0, corrected = 0, squares = 0, corrected_squares = 0;
};

void compare(const Waiting& run, const SensorReport& report, std::map<std::string, Sums>& sums) {
  const Duration lead = report.time - run.initial;
  const auto after = std::lower_bound(run.leads.begin(), run.leads.end(), lead);
  if (report.time <= run.initial || after == run.leads.end() || after == run.leads.begin()) return;
  const auto k = static_cast<std::size_t>(after - run.leads.begin());
  const double share = static_cast<double>((lead - run.leads[k - 1]).count()) /
                       static_cast<double>((run.leads[k] - run.leads[k - 1]).count());
  for (const CorrectedSeries& series : run.series) {
    if (series.observed != report.variable) continue;
    const auto error = [&](const std::vector<double>& of) {
      return (1 - share) * of[k - 1] + share * of[k] - report.value;
    };
    Sums& sum = sums[series.observed];
    const double raw = error(series.forecast), corrected = error(series.corrected);
    sum.unit = series.unit;
    ++sum.pairs;
    sum.error += raw;
    sum.corrected += corrected;
    sum.squares += raw * raw;
    sum.corrected_squares += corrected * corrected;
  }
}

}  // namespace

PastCorrection correct_past(StationCorrection& correction, std::span<const std::filesystem::path> forecasts,
                            std::vector<SensorReport> reports) {
  std::stable_sort(reports.begin(), reports.end(),
                   [](const SensorReport& a, const SensorReport& b) { return a.time < b.time; });
  std::vector<std::pair<Time, std::filesystem::path>> order;
  for (const auto& path : forecasts) order.emplace_back(open_forecast(path).initial, path);
  std::sort(order.begin(), order.end());

  PastCorrection past;
  std::map<std::string, Sums> sums;
  std::vector<Waiting> waiting;
  std::size_t next = 0;
  const auto take_reports = [&](Time until) {
    for (; next < reports.size() && reports[next].time <= until; ++next) {
      ObservationReceipt one = correction.observe({reports[next]});
      past.receipt.accepted += one.accepted;
      past.receipt.rejected.insert(past.receipt.rejected.end(), one.rejected.begin(), one.rejected.end());
      std::erase_if(waiting, [&](const Waiting& run) { return run.end < reports[next].time; });
      if (one.accepted == 1) {
        for (const Waiting& run : waiting) compare(run, reports[next], sums);
      }
    }
  };
  for (const auto& [initial, path] : order) {
    take_reports(initial);
    const RegionalForecast run = open_forecast(path);
    waiting.push_back({run.initial, run.end(), run.leads, correction.correct(run)});
    correction.follow(run);
  }
  take_reports(Time::max());
  for (const auto& [observed, sum] : sums) {
    const auto n = static_cast<double>(sum.pairs);
    past.scores.push_back({observed, sum.unit, sum.pairs, sum.error / n, sum.corrected / n, std::sqrt(sum.squares / n),
                           std::sqrt(sum.corrected_squares / n)});
  }
  return past;
}

}  // namespace zonda::edge
