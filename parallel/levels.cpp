#include "parallel/levels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/error.hpp"
#include "parallel/forwarding_transport.hpp"

namespace zonda::parallel {

int Levels::ranks() const {
  int product = 1;
  for (const int size : sizes) product *= size;
  return product;
}

int Levels::stride(std::size_t level) const {
  int product = 1;
  for (std::size_t i = 0; i < level; ++i) product *= sizes[i];
  return product;
}

int Levels::digit(int rank, std::size_t level) const {
  return rank / stride(level) % sizes[level];
}

int Levels::peer(int rank, std::size_t level, int other) const {
  return rank + (other - digit(rank, level)) * stride(level);
}

std::vector<std::size_t> Levels::gathers() const {
  if (!gather_order.empty()) return gather_order;
  std::vector<std::size_t> order;
  for (std::size_t i = sizes.size(); i-- > 0;) order.push_back(i);
  return order;
}

Levels levels_for(int ranks, int neighbours, int widest) {
  Levels levels;
  int rest = ranks;
  if (neighbours > 1 && neighbours < ranks && ranks % neighbours == 0) {
    levels.sizes.push_back(neighbours);
    rest = ranks / neighbours;
  }
  while (rest > widest) {
    // As many levels of equal size as are needed: the divisor nearest to that size, from below.
    const double wanted = std::ceil(std::log(rest) / std::log(widest));
    int size = static_cast<int>(std::lround(std::pow(rest, 1 / wanted)));
    while (size > 1 && rest % size != 0) --size;
    if (size < 2) break;  // a prime
    levels.sizes.push_back(size);
    rest /= size;
  }
  if (rest > 1 || levels.sizes.empty()) levels.sizes.push_back(rest);
  return levels;
}

int ranks_per_node(const Communicator& world) {
  const std::vector<int> node = world.transport()->nodes();
  const int first = static_cast<int>(std::count(node.begin(), node.end(), node.front()));
  for (std::size_t rank = 0; rank < node.size(); ++rank) {
    // Equal blocks, each of one node.
    const std::size_t block = rank / static_cast<std::size_t>(first) * static_cast<std::size_t>(first);
    if (node[rank] != node[block] || std::count(node.begin(), node.end(), node[rank]) != first) return 1;
  }
  return first;
}

LevelTraffic gather_traffic(const Levels& levels, std::size_t bytes) {
  LevelTraffic traffic{.messages = 0, .bytes = std::vector<std::size_t>(levels.sizes.size())};
  std::size_t held = bytes / static_cast<std::size_t>(levels.ranks());
  for (const std::size_t level : levels.gathers()) {
    const auto others = static_cast<std::size_t>(levels.sizes[level] - 1);
    traffic.messages += others;
    traffic.bytes[level] = others * held;
    held *= others + 1;
  }
  return traffic;
}

LevelTraffic sum_traffic(const Levels& levels, std::size_t bytes) {
  LevelTraffic traffic{.messages = 0, .bytes = std::vector<std::size_t>(levels.sizes.size())};
  for (std::size_t level = 0; level < levels.sizes.size(); ++level) {
    const auto size = static_cast<std::size_t>(levels.sizes[level]);
    traffic.messages += size - 1;
    bytes /= size;
    traffic.bytes[level] = (size - 1) * bytes;
  }
  return traffic;
}

namespace {

/// One gather: in each level a rank gives its group all parts that it holds.
class LevelledGather {
 public:
  LevelledGather(std::shared_ptr<Transport> transport, const Levels& levels, std::span<std::byte> all,
                 std::span<const std::size_t> offset)
      : transport_(std::move(transport)),
        levels_(levels),
        order_(levels.gathers()),
        all_(all),
        offset_(offset.begin(), offset.end()),
        held_{transport_->rank()} {
    // Counted alike on all ranks, before any of them is ahead.
    for (std::size_t i = 0; i < order_.size(); ++i) numbers_.push_back(2 * transport_->begin_collective());
    begin_level();
  }

  bool step(bool block) {
    while (exchange_.poll(block)) {
      if (level_ == order_.size()) return true;
      end_level();
      if (++level_ == order_.size()) return true;
      begin_level();
      block = false;
    }
    return false;
  }

 private:
  std::span<std::byte> part(int rank) const {
    const auto r = static_cast<std::size_t>(rank);
    return all_.subspan(offset_[r], offset_[r + 1] - offset_[r]);
  }
  std::vector<int> held_by(int digit) const {
    std::vector<int> ranks;
    for (const int rank : held_) ranks.push_back(levels_.peer(rank, order_[level_], digit));
    return ranks;
  }

  void begin_level() {
    const std::size_t level = order_[level_];
    const int me = transport_->rank(), size = levels_.sizes[level], mine = levels_.digit(me, level);
    const Label label{true, numbers_[level_], "all_gather in levels"};
    outgoing_.clear();
    for (const int rank : held_) outgoing_.insert(outgoing_.end(), part(rank).begin(), part(rank).end());
    incoming_.assign(static_cast<std::size_t>(size), {});
    std::vector<Event> events;
    for (int shift = 1; shift < size; ++shift) {
      const int to = (mine + shift) % size, from = (mine + size - shift) % size;
      std::vector<std::byte>& in = incoming_[static_cast<std::size_t>(from)];
      std::size_t bytes = 0;
      for (const int rank : held_by(from)) bytes += part(rank).size();
      in.resize(bytes);
      if (!in.empty()) events.push_back(transport_->receive(in, levels_.peer(me, level, from), label));
      if (!outgoing_.empty()) events.push_back(transport_->send(outgoing_, levels_.peer(me, level, to), label));
    }
    exchange_ = when_all(std::move(events));
  }

  void end_level() {
    const std::size_t level = order_[level_];
    const int mine = levels_.digit(transport_->rank(), level);
    std::vector<int> held = held_;
    for (int digit = 0; digit < levels_.sizes[level]; ++digit) {
      if (digit == mine) continue;
      const std::byte* from = incoming_[static_cast<std::size_t>(digit)].data();
      for (const int rank : held_by(digit)) {
        const std::span<std::byte> place = part(rank);
        if (!place.empty()) std::memcpy(place.data(), from, place.size());
        from += place.size();
        held.push_back(rank);
      }
    }
    held_ = std::move(held);
  }

  std::shared_ptr<Transport> transport_;
  const Levels levels_;
  const std::vector<std::size_t> order_;
  std::span<std::byte> all_;
  const std::vector<std::size_t> offset_;
  std::vector<int> held_;  // ranks whose parts are here
  std::vector<std::uint64_t> numbers_;
  std::size_t level_ = 0;
  std::vector<std::byte> outgoing_;
  std::vector<std::vector<std::byte>> incoming_;
  Event exchange_;
};

class LevelledTransport : public ForwardingTransport {
 public:
  LevelledTransport(std::shared_ptr<Transport> inner, Levels levels)
      : ForwardingTransport(std::move(inner)), levels_(std::move(levels)) {}
  Event all_gather_uneven(std::span<const std::byte> mine, std::span<std::byte> all,
                          std::span<const std::size_t> offset) override {
    const std::span<std::byte> place = all.subspan(offset[static_cast<std::size_t>(rank())], mine.size());
    if (!mine.empty()) std::memmove(place.data(), mine.data(), mine.size());
    auto gather = std::make_shared<LevelledGather>(inner(), levels_, all, offset);
    return continued([gather](bool block) { return gather->step(block); });
  }
  const Levels* levels() const override { return &levels_; }

 private:
  const Levels levels_;
};

}  // namespace

Communicator in_levels(const Communicator& ranks, const Levels& levels) {
  if (levels.ranks() != ranks.size() ||
      std::any_of(levels.sizes.begin(), levels.sizes.end(), [](int n) { return n < 1; }))
    fail(ErrorKind::usage, "levels of {} ranks for a group of {}", levels.ranks(), ranks.size());
  std::vector<std::size_t> order = levels.gathers();
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < levels.sizes.size(); ++i)
    if (order.size() != levels.sizes.size() || order[i] != i)
      fail(ErrorKind::usage, "gathers do not go through each of {} levels once", levels.sizes.size());
  if (levels.sizes.size() < 2) return ranks;
  return Communicator(std::make_shared<LevelledTransport>(ranks.transport(), levels));
}

}  // namespace zonda::parallel
