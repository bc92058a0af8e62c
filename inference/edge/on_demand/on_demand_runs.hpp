#pragma once
// Runs that people ask for: a worker takes them from a deadline queue, each at the most exact token level that is in
// time.
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/edge/elastic/deadline_queue.hpp"
#include "inference/edge/forecast/regional_forecast.hpp"

namespace zonda::edge {

/// `instant`, `interactive`, `prompt`, `batch`
std::string_view name_of(RequestClass request_class);
std::optional<RequestClass> parse_request_class(std::string_view word);

/// What runs: a model on a feed.
struct DemandedModel {
  std::string identity;
  std::vector<LevelCosts::Seconds> costs;                      ///< of a run, by token level
  std::function<RegionalForecast(int level, int member)> run;  ///< from the worker's thread
  std::shared_ptr<const RegionalForecast> last = {};           ///< the scheduled run of the same model and feed
};

struct DemandedRun {
  std::shared_ptr<const RegionalForecast> forecast;  ///< null: none was in time, or the run failed
  bool in_time = false;
  double seconds = 0;   ///< from the question to the answer
  std::string problem;  ///< why there is none
};

struct DemandCounts {
  static constexpr std::size_t most_levels = 8;
  struct Class {
    std::array<std::uint64_t, most_levels> levels{};  ///< runs at each token level
    std::uint64_t in_time = 0, late = 0, refused = 0;
  };
  std::array<Class, 4> classes{};  ///< as RequestClass
  std::size_t waiting = 0;
};

class OnDemandRuns {
 public:
  using Clock = DeadlineQueue::Clock;
  /// Levels down to `coarsest` may be used. At most `most_waiting` questions wait; others are refused at once.
  OnDemandRuns(int coarsest, std::size_t most_waiting);
  ~OnDemandRuns();
  OnDemandRuns(const OnDemandRuns&) = delete;
  OnDemandRuns& operator=(const OnDemandRuns&) = delete;

  /// From now on questions are answered by this model; a run under way ends with the one it began with, and those that
  /// wait are moved. None, or one without costs: there is nothing to run.
  void serve(std::shared_ptr<const DemandedModel> model);
  /// Waits for the answer. `instant` and member 0 of what ran on schedule are answered by the last run without waiting.
  DemandedRun ask(RequestClass request_class, int member);
  DemandCounts counts() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace zonda::edge
