#include "model/training/sampler.hpp"

#include <algorithm>
#include <numeric>

#include "core/error.hpp"
#include "core/philox.hpp"

namespace zonda::model {

std::vector<Example> examples_within(std::span<const Time> times, Time first, Time last,
                                     std::span<const Duration> steps, int count) {
  const auto holds = [&](Time time) {
    return time >= first && time <= last && std::binary_search(times.begin(), times.end(), time);
  };
  std::vector<Example> examples;
  for (std::size_t i = 0; i < times.size(); ++i)
    for (const Duration step : steps) {
      bool whole = true;
      for (int k = -1; whole && k <= count; ++k) whole = holds(times[i] + k * step);
      if (whole) examples.push_back({i, step});
    }
  return examples;
}

std::vector<std::size_t> permutation(std::uint64_t seed, std::string_view purpose, std::uint64_t epoch, std::size_t n) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const Philox philox(seed, purpose);
  for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[philox.integer(epoch * n + i - 1, i)]);
  return order;
}

Sampler::Sampler(std::vector<Example> examples, std::uint64_t seed, std::string purpose)
    : examples_(std::move(examples)), seed_(seed), purpose_(std::move(purpose)) {
  if (examples_.empty()) fail(ErrorKind::data, "{}: the period holds no example", purpose_);
}

Example Sampler::at(std::uint64_t position) const {
  const std::uint64_t epoch_number = epoch(position);
  const std::lock_guard lock(mutex_);
  auto found = orders_.find(epoch_number);
  if (found == orders_.end()) {
    if (orders_.size() > 2) orders_.erase(orders_.begin());
    found = orders_.emplace(epoch_number, permutation(seed_, purpose_, epoch_number, examples_.size())).first;
  }
  return examples_[found->second[position % examples_.size()]];
}

}  // namespace zonda::model
