#include "model/training/parameter_shares.hpp"

#include <algorithm>
#include <map>
#include <numeric>

#include "core/error.hpp"
#include "model/ops/optimiser.hpp"

namespace zonda::model {
namespace {

/// Whole pieces of the optimiser's, and of a parameter that ranks hold parts of whole runs.
std::int64_t distance_of_cuts(const Parameter& p) {
  return p.cut && !p.cut->together() ? std::lcm(optimiser_piece, p.cut->run()) : optimiser_piece;
}

/// Where a bucket may be cut, counted from its first number: before each piece, and at its end.
std::vector<std::int64_t> places_of(const ParameterStore& store, const Bucket& bucket) {
  std::vector<std::int64_t> places;
  for (const Parameter& p : store.list())
    if (p.offset >= bucket.first && p.offset < bucket.first + bucket.count)
      for (std::int64_t at = 0; at < p.count; at += distance_of_cuts(p)) places.push_back(p.offset + at - bucket.first);
  places.push_back(bucket.count);
  return places;
}

}  // namespace

ParameterShares::ParameterShares(const ParameterStore& store, std::vector<Bucket> buckets, const TrainingRanks& ranks)
    : ranks_(ranks), buckets_(std::move(buckets)) {
  const auto parts = static_cast<std::size_t>(ranks_.all.size());
  if (ranks_.all.size() != ranks_.data.size() * ranks_.slabs.size() ||
      ranks_.all.rank() != ranks_.slabs.rank() * ranks_.data.size() + ranks_.data.rank())
    fail(ErrorKind::failure, "rank {} of {} is not slab {} of {} and data rank {} of {}", ranks_.all.rank(),
         ranks_.all.size(), ranks_.slabs.rank(), ranks_.slabs.size(), ranks_.data.rank(), ranks_.data.size());
  // A bucket has few places to cut it: who got less than an equal part of those before gets more of the next.
  const auto n = static_cast<std::int64_t>(parts);
  std::map<int, std::vector<std::int64_t>> of_stages;  // what ranks are owed, in parts of a number
  for (const Bucket& bucket : buckets_) {
    const std::vector<std::int64_t> places = places_of(store, bucket);
    std::vector<std::int64_t>& owed = of_stages.try_emplace(bucket.stage, parts).first->second;
    std::vector<std::size_t> cuts{0};
    std::int64_t cut = 0, wanted = 0;
    for (std::size_t r = 0; r < parts; ++r) {
      owed[r] += bucket.count;
      wanted += owed[r];
      std::int64_t next = bucket.count;
      if (r + 1 < parts) {
        auto place = std::ranges::lower_bound(places, wanted, {}, [&](std::int64_t at) { return at * n; });
        if (place == places.end() || (place != places.begin() && wanted - *(place - 1) * n < *place * n - wanted))
          --place;
        next = std::max(*place, cut);
      }
      owed[r] -= (next - cut) * n;
      cut = next;
      cuts.push_back(static_cast<std::size_t>(cut));
    }
    cuts_.push_back(std::move(cuts));
  }
}

std::vector<std::size_t> ParameterShares::slab_cuts(std::size_t bucket) const {
  std::vector<std::size_t> cuts;
  for (std::size_t at = 0; at < cuts_[bucket].size(); at += data()) cuts.push_back(cuts_[bucket][at]);
  return cuts;
}

std::vector<std::size_t> ParameterShares::data_cuts(std::size_t bucket) const {
  const std::size_t first = static_cast<std::size_t>(ranks_.slabs.rank()) * data();
  std::vector<std::size_t> cuts;
  for (std::size_t d = 0; d <= data(); ++d) cuts.push_back(cuts_[bucket][first + d] - cuts_[bucket][first]);
  return cuts;
}

ArenaRange ParameterShares::slab_share(std::size_t bucket) const {
  const std::size_t first = static_cast<std::size_t>(ranks_.slabs.rank()) * data();
  const std::vector<std::size_t>& cuts = cuts_[bucket];
  return {buckets_[bucket].first + static_cast<std::int64_t>(cuts[first]),
          static_cast<std::int64_t>(cuts[first + data()] - cuts[first])};
}

ArenaRange ParameterShares::share(std::size_t bucket, int rank) const {
  const auto r = static_cast<std::size_t>(rank);
  const std::vector<std::size_t>& cuts = cuts_[bucket];
  return {buckets_[bucket].first + static_cast<std::int64_t>(cuts[r]),
          static_cast<std::int64_t>(cuts[r + 1] - cuts[r])};
}

}  // namespace zonda::model
