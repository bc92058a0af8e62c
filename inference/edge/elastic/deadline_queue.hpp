#pragma once
// DeadlineQueue: requests in the order of their deadlines, each at the most exact token level that lets it and all
// behind it be in time (earliest deadline first; levels after OTAS, Chen et al. 2024).
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "inference/edge/elastic/level_costs.hpp"

namespace zonda::edge {

/// How soon an answer is wanted.
enum class RequestClass {
  instant,      ///< under 10 ms: from the last run
  interactive,  ///< 100 ms
  prompt,       ///< 1 s
  batch,        ///< whenever there is time
};
/// Of a class, from its arrival; none for a batch.
std::optional<std::chrono::milliseconds> allowance(RequestClass request_class);

struct ElasticRequest {
  using Clock = std::chrono::steady_clock;
  std::uint64_t id = 0;
  Clock::time_point deadline{};
};

class DeadlineQueue {
 public:
  using Clock = ElasticRequest::Clock;
  /// Levels may be used down to `coarsest`.
  explicit DeadlineQueue(LevelCosts costs, int coarsest);

  void push(const ElasticRequest& request);
  bool empty() const { return waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }

  struct Choice {
    ElasticRequest request;
    std::optional<int> level;  ///< none: no level is in time; the last run's answer is all there is
  };
  /// Takes the next. Throws Error(failure): the queue is empty.
  Choice take(Clock::time_point now);
  /// What the taken one took.
  void done(int level, LevelCosts::Seconds taken) { costs_.observe(level, taken); }
  const LevelCosts& costs() const { return costs_; }

 private:
  /// Those waiting can all be in time, each at its cheapest level, from `free` on; those that cannot be in any case do
  /// not count.
  bool feasible(Clock::time_point free, Clock::time_point now) const;
  LevelCosts costs_;
  int coarsest_;
  std::vector<ElasticRequest> waiting_;  // by deadline, then by arrival
};

}  // namespace zonda::edge
