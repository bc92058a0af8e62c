#pragma once
// What the station counts, in the text format of Prometheus (version 0.0.4).
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "inference/edge/on_demand/on_demand_runs.hpp"
#include "inference/edge/serving/station_state.hpp"

namespace zonda::edge {

class RequestMetrics {
 public:
  void count_request(const std::string& route, int status, std::chrono::nanoseconds took);
  void count_reports(std::size_t accepted, std::size_t rejected);
  /// Requests, latencies, reports; the state's age, freshness, feed; the process's memory.
  std::string text(const StationState& state, Time now) const;

 private:
  static constexpr std::array bounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0};  ///< s
  struct Route {
    std::map<int, std::uint64_t> statuses;
    std::array<std::uint64_t, bounds.size() + 1> buckets{};
    double seconds = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Route> routes_;
  std::uint64_t accepted_ = 0, rejected_ = 0;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

/// Runs on demand, by class: in time, late and refused; by token level.
std::string demand_metrics(const DemandCounts& counts);

}  // namespace zonda::edge
