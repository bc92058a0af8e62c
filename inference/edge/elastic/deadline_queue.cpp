#include "inference/edge/elastic/deadline_queue.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace zonda::edge {

namespace {

DeadlineQueue::Clock::time_point after(DeadlineQueue::Clock::time_point time, LevelCosts::Seconds seconds) {
  return time + std::chrono::duration_cast<DeadlineQueue::Clock::duration>(seconds);
}

}  // namespace

std::optional<std::chrono::milliseconds> allowance(RequestClass request_class) {
  using std::chrono::milliseconds;
  switch (request_class) {
    case RequestClass::instant:
      return milliseconds(10);
    case RequestClass::interactive:
      return milliseconds(100);
    case RequestClass::prompt:
      return milliseconds(1000);
    case RequestClass::batch:
      break;
  }
  return std::nullopt;
}

DeadlineQueue::DeadlineQueue(LevelCosts costs, int coarsest) : costs_(std::move(costs)), coarsest_(coarsest) {
  if (coarsest < 0 || coarsest >= costs_.levels())
    fail(ErrorKind::usage, "token level {}: there are 0 to {}", coarsest, costs_.levels() - 1);
}

void DeadlineQueue::push(const ElasticRequest& request) {
  const auto at =
      std::upper_bound(waiting_.begin(), waiting_.end(), request,
                       [](const ElasticRequest& a, const ElasticRequest& b) { return a.deadline < b.deadline; });
  waiting_.insert(at, request);
}

bool DeadlineQueue::feasible(Clock::time_point free, Clock::time_point now) const {
  LevelCosts::Seconds least = costs_.expected(0);
  for (int level = 1; level <= coarsest_; ++level) least = std::min(least, costs_.expected(level));
  Clock::time_point then = now;  // had this request not been there
  for (const ElasticRequest& request : waiting_) {
    if (after(then, least) > request.deadline) continue;
    then = after(then, least);
    free = after(free, least);
    if (free > request.deadline) return false;
  }
  return true;
}

DeadlineQueue::Choice DeadlineQueue::take(Clock::time_point now) {
  if (waiting_.empty()) fail(ErrorKind::failure, "no request waits");
  Choice choice{waiting_.front(), std::nullopt};
  waiting_.erase(waiting_.begin());
  for (int level = 0; level <= coarsest_; ++level) {
    const Clock::time_point end = after(now, costs_.expected(level));
    if (end > choice.request.deadline) continue;
    choice.level = level;
    if (feasible(end, now)) break;
  }
  return choice;
}

}  // namespace zonda::edge
