#pragma once
// The sampler: which example is trained on when, a pure function of (seed, epoch, position). Resuming needs no state.
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/time.hpp"

namespace zonda::model {

/// One example: the state at `times[time_index]` and one step of the network from there (`count` steps in a rollout).
struct Example {
  std::size_t time_index;
  Duration step;
  friend bool operator==(const Example&, const Example&) = default;
};

/// Every (t, d) for which t - d, t, t + d, ..., t + count*d are in `times` and within [first, last]. Ordered by time,
/// then step. `times` ascend; gaps just remove examples.
std::vector<Example> examples_within(std::span<const Time> times, Time first, Time last,
                                     std::span<const Duration> steps, int count);

/// A permutation of [0, n): Fisher-Yates with Philox(seed, purpose, epoch). The same on every rank and machine.
std::vector<std::size_t> permutation(std::uint64_t seed, std::string_view purpose, std::uint64_t epoch, std::size_t n);

/// Runs through all examples once an epoch, in an order of its own each epoch. Thread safe.
class Sampler {
 public:
  /// Throws Error(data) if there are no examples.
  Sampler(std::vector<Example> examples, std::uint64_t seed, std::string purpose);
  std::size_t size() const { return examples_.size(); }
  /// The example at global `position` (step * batch + place in the batch).
  Example at(std::uint64_t position) const;
  std::uint64_t epoch(std::uint64_t position) const { return position / examples_.size(); }

 private:
  std::vector<Example> examples_;
  std::uint64_t seed_;
  std::string purpose_;
  mutable std::mutex mutex_;
  mutable std::map<std::uint64_t, std::vector<std::size_t>> orders_;  // of the last few epochs
};

}  // namespace zonda::model
