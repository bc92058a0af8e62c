#include "inference/edge/serving/request_metrics.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <numeric>

namespace zonda::edge {
namespace {

double resident_bytes() {
  std::ifstream in("/proc/self/statm");
  double pages = 0, resident = 0;
  in >> pages >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void gauge(std::string& out, std::string_view name, std::string_view help, double value) {
  head(out, name, "gauge", help);
  out += fmt::format("{} {:.10g}\n", name, value);
}

std::string escaped(std::string_view label) {
  std::string out;
  for (const char c : label) out += c == '"' || c == '\\' ? std::string{'\\', c} : c == '\n' ? "\\n" : std::string{c};
  return out;
}

}  // namespace

void RequestMetrics::count_request(const std::string& route, int status, std::chrono::nanoseconds took) {
  const double seconds = std::chrono::duration<double>(took).count();
  std::size_t bucket = 0;
  while (bucket < bounds.size() && seconds > bounds[bucket]) ++bucket;
  const std::lock_guard lock(mutex_);
  Route& counts = routes_[route];
  ++counts.statuses[status];
  ++counts.buckets[bucket];
  counts.seconds += seconds;
}

void RequestMetrics::count_reports(std::size_t accepted, std::size_t rejected) {
  const std::lock_guard lock(mutex_);
  accepted_ += accepted;
  rejected_ += rejected;
}

std::string RequestMetrics::text(const StationState& state, Time now) const {
  std::string out;
  const Condition condition = condition_of(state, now);
  head(out, "zonda_station_state", "gauge", "1 for the state the station is in.");
  for (const Freshness each : {Freshness::fresh, Freshness::stale, Freshness::degraded})
    out += fmt::format("zonda_station_state{{state=\"{}\"}} {}\n", name_of(each), each == condition.freshness ? 1 : 0);
  if (state.forecast) {
    const RegionalForecast& run = *state.forecast;
    head(out, "zonda_station_info", "gauge", "What is served.");
    out += fmt::format("zonda_station_info{{model=\"{}\",feed=\"{}\",software=\"{}\"}} 1\n", escaped(run.model),
                       escaped(run.feed), escaped(state.software));
    gauge(out, "zonda_station_analysis_age_seconds", "Age of the analysis the forecast starts from.",
          static_cast<double>((now - run.initial).count()));
    gauge(out, "zonda_station_forecast_remaining_seconds", "Until the forecast ends; negative once it has.",
          static_cast<double>((run.end() - now).count()));
    gauge(out, "zonda_station_token_level", "Token level of the forecast, 0 = every token.", run.level);
  }
  if (state.feed_reach)
    gauge(out, "zonda_station_feed_remaining_seconds", "Until the boundary feed ends.",
          static_cast<double>((*state.feed_reach - now).count()));
  gauge(out, "zonda_station_faults", "Faults that make the station DEGRADED.",
        static_cast<double>(state.faults.size()));
  gauge(out, "zonda_station_resident_bytes", "Resident memory of the process.", resident_bytes());
  gauge(out, "zonda_station_uptime_seconds", "Since the server began.",
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count());
  const std::lock_guard lock(mutex_);
  head(out, "zonda_station_reports_total", "counter", "Sensor reports taken and rejected.");
  out += fmt::format("zonda_station_reports_total{{result=\"accepted\"}} {}\n", accepted_);
  out += fmt::format("zonda_station_reports_total{{result=\"rejected\"}} {}\n", rejected_);
  head(out, "zonda_station_requests_total", "counter", "Requests answered.");
  for (const auto& [route, counts] : routes_) {
    for (const auto& [status, count] : counts.statuses)
      out += fmt::format("zonda_station_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", route, status, count);
  }
  head(out, "zonda_station_request_seconds", "histogram", "Time to make an answer.");
  for (const auto& [route, counts] : routes_) {
    std::uint64_t below = 0;
    for (std::size_t b = 0; b < bounds.size(); ++b) {
      below += counts.buckets[b];
      out +=
          fmt::format("zonda_station_request_seconds_bucket{{route=\"{}\",le=\"{}\"}} {}\n", route, bounds[b], below);
    }
    below += counts.buckets.back();
    out += fmt::format("zonda_station_request_seconds_bucket{{route=\"{}\",le=\"+Inf\"}} {}\n", route, below);
    out += fmt::format("zonda_station_request_seconds_sum{{route=\"{}\"}} {:.9g}\n", route, counts.seconds);
    out += fmt::format("zonda_station_request_seconds_count{{route=\"{}\"}} {}\n", route, below);
  }
  return out;
}

std::string demand_metrics(const DemandCounts& counts) {
  std::string out;
  head(out, "zonda_station_demands_total", "counter", "Runs asked for, by class and how they ended.");
  for (std::size_t c = 0; c < counts.classes.size(); ++c) {
    const DemandCounts::Class& count = counts.classes[c];
    const std::string_view name = name_of(static_cast<RequestClass>(c));
    for (const auto& [result, number] :
         {std::pair("in-time", count.in_time), std::pair("late", count.late), std::pair("refused", count.refused)})
      out += fmt::format("zonda_station_demands_total{{deadline=\"{}\",result=\"{}\"}} {}\n", name, result, number);
  }
  head(out, "zonda_station_demanded_runs_total", "counter", "Runs made on demand, by class and token level.");
  for (std::size_t c = 0; c < counts.classes.size(); ++c)
    for (std::size_t level = 0; level < DemandCounts::most_levels; ++level)
      if (const auto runs = counts.classes[c].levels[level]; runs > 0)
        out += fmt::format("zonda_station_demanded_runs_total{{deadline=\"{}\",level=\"{}\"}} {}\n",
                           name_of(static_cast<RequestClass>(c)), level, runs);
  gauge(out, "zonda_station_demands_waiting", "Runs asked for that wait or are being made.",
        static_cast<double>(counts.waiting));
  return out;
}

}  // namespace zonda::edge
