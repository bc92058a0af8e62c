#include "parallel/faults/step_times.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace zonda::parallel {

std::vector<int> StepTimes::stragglers(double factor) const {
  std::vector<int> ranks;
  for (std::size_t r = 0; r < seconds.size(); ++r)
    if (seconds[r] > factor * median) ranks.push_back(static_cast<int>(r));
  return ranks;
}

std::string StepTimes::text() const {
  return fmt::format("step {:.3f} s (median); slowest rank {}: {:.3f} s, {:.2f} times the median", median, slowest,
                     seconds[static_cast<std::size_t>(slowest)], ratio());
}

StepTimes gather_step_times(const Communicator& communicator, double seconds) {
  StepTimes times;
  times.seconds.resize(static_cast<std::size_t>(communicator.size()));
  communicator.all_gather(std::as_bytes(std::span(&seconds, 1)), std::as_writable_bytes(std::span(times.seconds)))
      .wait();
  times.slowest =
      static_cast<int>(std::max_element(times.seconds.begin(), times.seconds.end()) - times.seconds.begin());
  std::vector<double> sorted = times.seconds;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t middle = sorted.size() / 2;
  times.median = sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return times;
}

}  // namespace zonda::parallel
