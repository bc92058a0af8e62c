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

}  // namespace

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
