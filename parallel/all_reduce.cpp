#include "parallel/all_reduce.hpp"

#include <algorithm>

#include "parallel/partition.hpp"
#include "parallel/transport.hpp"

namespace zonda::parallel {
namespace {

/// Below this many bytes in all, every rank gathers everything: one step, no second latency.
constexpr std::size_t gather_limit = 64 * 1024;

/// values = values (op) next. A NaN on any rank stays.
template <class T>
void combine(T* values, const T* next, std::size_t n, Reduction reduction) {
  switch (reduction) {
    case Reduction::sum:
      for (std::size_t i = 0; i < n; ++i) values[i] += next[i];
      break;
    case Reduction::min:
      for (std::size_t i = 0; i < n; ++i) values[i] = next[i] < values[i] || next[i] != next[i] ? next[i] : values[i];
      break;
    case Reduction::max:
      for (std::size_t i = 0; i < n; ++i) values[i] = next[i] > values[i] || next[i] != next[i] ? next[i] : values[i];
      break;
  }
}

/// `parts` holds what each rank gave, [ranks, n]; the result goes to `values`, which may be one of them.
template <class T>
void combine_parts(std::vector<T>& parts, std::size_t ranks, std::span<T> values, Reduction reduction) {
  const std::size_t n = values.size();
  for (std::size_t r = 1; r < ranks; ++r) combine(parts.data(), parts.data() + r * n, n, reduction);
  std::copy_n(parts.data(), n, values.data());
}

template <class T>
Event gather_and_combine(Transport& transport, std::span<T> values, Reduction reduction) {
  const auto ranks = static_cast<std::size_t>(transport.size());
  auto parts = std::make_shared<std::vector<T>>(ranks * values.size());
  std::vector<Event> gathered;
  gathered.push_back(transport.all_gather(std::as_bytes(values), std::as_writable_bytes(std::span(*parts))));
  return when_all(std::move(gathered),
                  [parts, ranks, values, reduction] { combine_parts(*parts, ranks, values, reduction); });
}

/// Step 1: each rank gets one segment from all and combines it; step 2: it sends the result to all.
template <class T>
class SegmentedReduction {
 public:
  SegmentedReduction(std::shared_ptr<Transport> transport, std::span<T> values, Reduction reduction)
      : transport_(std::move(transport)),
        values_(values),
        reduction_(reduction),
        ranks_(transport_->size()),
        rank_(transport_->rank()),
        number_(2 * transport_->begin_collective()),
        parts_(static_cast<std::size_t>(ranks_) * segment(rank_).size()) {
    const Label label{true, number_, "all_reduce"};
    const std::span<T> mine = segment(rank_);
    std::copy(mine.begin(), mine.end(), part(rank_).begin());
    std::vector<Event> events;
    for (int shift = 1; shift < ranks_; ++shift) {
      const int to = (rank_ + shift) % ranks_, from = (rank_ + ranks_ - shift) % ranks_;
      events.push_back(transport_->receive(std::as_writable_bytes(part(from)), from, label));
      events.push_back(transport_->send(std::as_bytes(segment(to)), to, label));
    }
    exchange_ = when_all(std::move(events));
  }

  bool step(bool block) {
    if (!exchange_.poll(block)) return false;
    if (spreading_) return true;
    spreading_ = true;
    combine_parts(parts_, static_cast<std::size_t>(ranks_), segment(rank_), reduction_);
    const Label label{true, number_ + 1, "all_reduce"};
    std::vector<Event> events;
    for (int shift = 1; shift < ranks_; ++shift) {
      const int to = (rank_ + shift) % ranks_, from = (rank_ + ranks_ - shift) % ranks_;
      events.push_back(transport_->receive(std::as_writable_bytes(segment(from)), from, label));
      events.push_back(transport_->send(std::as_bytes(segment(rank_)), to, label));
    }
    exchange_ = when_all(std::move(events));
    return exchange_.poll(false);
  }

 private:
  std::span<T> segment(int r) const {
    const Range range = partition(values_.size(), static_cast<std::size_t>(ranks_), static_cast<std::size_t>(r));
    return values_.subspan(range.begin, range.size());
  }
  std::span<T> part(int r) {
    const std::size_t n = segment(rank_).size();
    return std::span(parts_).subspan(static_cast<std::size_t>(r) * n, n);
  }

  std::shared_ptr<Transport> transport_;
  std::span<T> values_;
  Reduction reduction_;
  int ranks_, rank_;
  std::uint64_t number_;
  std::vector<T> parts_;  // [ranks, own segment]
  Event exchange_;
  bool spreading_ = false;
};

template <class T>
Event reduce(const std::shared_ptr<Transport>& transport, std::span<T> values, Reduction reduction) {
  if (transport->size() == 1 || values.empty()) return Event();
  if (values.size_bytes() * static_cast<std::size_t>(transport->size()) <= gather_limit)
    return gather_and_combine(*transport, values, reduction);
  auto segmented = std::make_shared<SegmentedReduction<T>>(transport, values, reduction);
  return continued([segmented](bool block) { return segmented->step(block); });
}

/// Every rank's values for this rank's part of the sum arrive, and are added when all are there.
template <class T>
Event reduce_scatter(const std::shared_ptr<Transport>& transport, std::span<const T> values, std::span<T> mine) {
  const auto ranks = static_cast<std::size_t>(transport->size()), rank = static_cast<std::size_t>(transport->rank());
  const auto segment = [&](std::size_t r) {
    const Range range = partition(values.size(), ranks, r);
    return values.subspan(range.begin, range.size());
  };
  auto parts = std::make_shared<std::vector<T>>(ranks * mine.size());
  std::vector<Event> events;
  const Label label{true, 2 * transport->begin_collective(), "reduce_scatter"};
  std::copy_n(segment(rank).data(), mine.size(), parts->data() + rank * mine.size());
  for (std::size_t shift = 1; shift < ranks; ++shift) {
    const std::size_t to = (rank + shift) % ranks, from = (rank + ranks - shift) % ranks;
    const std::span<T> part = std::span(*parts).subspan(from * mine.size(), mine.size());
    if (!part.empty())
      events.push_back(transport->receive(std::as_writable_bytes(part), static_cast<int>(from), label));
    if (!segment(to).empty())
      events.push_back(transport->send(std::as_bytes(segment(to)), static_cast<int>(to), label));
  }
  return when_all(std::move(events), [parts, ranks, mine] { combine_parts(*parts, ranks, mine, Reduction::sum); });
}

}  // namespace

Event reduce_scatter_in_rank_order(const std::shared_ptr<Transport>& transport, std::span<const double> values,
                                   std::span<double> mine) {
  return reduce_scatter(transport, values, mine);
}
Event reduce_scatter_in_rank_order(const std::shared_ptr<Transport>& transport, std::span<const float> values,
                                   std::span<float> mine) {
  return reduce_scatter(transport, values, mine);
}

ReductionTraffic all_reduce_traffic(std::size_t n, std::size_t width, int ranks, int rank) {
  if (ranks == 1 || n == 0) return {};
  const auto others = static_cast<std::uint64_t>(ranks - 1);
  if (n * width * static_cast<std::size_t>(ranks) <= gather_limit) return {others, others * n * width};
  const std::size_t own = partition(n, static_cast<std::size_t>(ranks), static_cast<std::size_t>(rank)).size();
  return {2 * others, (n - own + others * own) * width};
}

Event reduce_in_rank_order(const std::shared_ptr<Transport>& transport, std::span<double> values, Reduction reduction) {
  return reduce(transport, values, reduction);
}
Event reduce_in_rank_order(const std::shared_ptr<Transport>& transport, std::span<float> values, Reduction reduction) {
  return reduce(transport, values, reduction);
}
Event reduce_in_rank_order(const std::shared_ptr<Transport>& transport, std::span<std::int64_t> values,
                           Reduction reduction) {
  return reduce(transport, values, reduction);
}

}  // namespace zonda::parallel
