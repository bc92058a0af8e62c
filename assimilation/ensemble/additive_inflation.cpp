#include "assimilation/ensemble/additive_inflation.hpp"

#include <numeric>
#include <utility>

#include "core/error.hpp"
#include "core/philox.hpp"

namespace zonda::assimilation {

AdditiveInflation::AdditiveInflation(std::vector<Vector> samples, double factor, std::uint64_t seed)
    : samples_(std::move(samples)), factor_(factor), seed_(seed) {
  if (samples_.empty()) fail(ErrorKind::usage, "additive inflation without samples of model errors");
  if (!(factor > 0)) fail(ErrorKind::usage, "additive inflation by {}, expected > 0", factor);
  for (const Vector& sample : samples_)
    if (sample.size() != samples_[0].size())
      fail(ErrorKind::usage, "additive inflation: samples of {} and {} numbers", sample.size(), samples_[0].size());
}

std::vector<std::size_t> AdditiveInflation::drawn(std::size_t members, std::uint64_t draw) const {
  const Philox random(seed_, "additive inflation");
  const std::size_t count = samples_.size();
  std::vector<std::size_t> order(count), chosen;
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t k = 0; k < members; ++k) {
    const std::size_t at = k % count;  // the next card of a deck that is shuffled as it is dealt
    std::swap(order[at], order[at + random.integer(draw * members + k, count - at)]);
    chosen.push_back(order[at]);
  }
  return chosen;
}

void AdditiveInflation::perturb(Ensemble& ensemble, std::uint64_t draw) const {
  const std::size_t members = ensemble.total(), size = samples_[0].size();
  if (ensemble.state_size() < size)
    fail(ErrorKind::usage, "additive inflation of {} numbers in a state of {}", size, ensemble.state_size());
  const std::vector<std::size_t> chosen = drawn(members, draw);
  Vector mean(size);
  for (const std::size_t s : chosen) axpy(factor_ / static_cast<double>(members), samples_[s], mean);
  for (std::size_t k = 0; k < ensemble.own().size(); ++k) {
    const View present = ensemble.member(k).last(size);
    axpy(factor_, samples_[chosen[ensemble.own().begin + k]], present);
    axpy(-1, mean, present);
  }
}

}  // namespace zonda::assimilation
