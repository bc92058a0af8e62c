#pragma once
// The canonical sum in levels: a group adds up the tree's nodes that its ranks make together, then groups do.
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "core/error.hpp"
#include "parallel/levels.hpp"
#include "parallel/transport.hpp"
#include "parallel/tree_adder.hpp"

namespace zonda::parallel {

/// For some columns: `columns[r]` those that rank r shall have of the sum over `terms` terms, of which rank r has
/// partition(terms, ranks, r). Memory: this rank's nodes of all columns, and in the first level as much again.
template <class T>
class LevelledSum {
 public:
  LevelledSum(Transport& transport, const Levels& levels, std::size_t terms, std::span<const Range> columns)
      : transport_(transport), levels_(levels), terms_(terms), columns_(columns), me_(transport.rank()) {
    for (int r = 0; r < levels.ranks(); ++r) targets_.push_back(r);
  }

  /// `fill(n, columns, to)` writes these columns of this rank's node n. The sum of this rank's columns, [columns].
  template <class Fill>
  std::vector<T> run(Fill&& fill) {
    std::size_t nodes = nodes_of(me_, 1).size();
    for (const int target : targets_) {
      const Range columns = of(target);
      const std::size_t at = held_.size();
      held_.resize(at + nodes * columns.size());
      for (std::size_t n = 0; n < nodes; ++n)
        if (columns.size() > 0) fill(n, columns, held_.data() + at + n * columns.size());
    }
    for (std::size_t level = 0; level < levels_.sizes.size(); ++level) exchange(level);
    return std::move(held_);
  }

 private:
  Range of(int rank) const { return columns_[static_cast<std::size_t>(rank)]; }
  /// What `ranks` neighbours from `first` on make up.
  std::vector<TreeNode> nodes_of(int first, int ranks) const {
    const auto all = static_cast<std::size_t>(levels_.ranks());
    return tree_nodes(terms_, {partition(terms_, all, static_cast<std::size_t>(first)).begin,
                               partition(terms_, all, static_cast<std::size_t>(first + ranks - 1)).end});
  }
  /// The nodes that the group of rank `rank` has after `level` levels.
  std::vector<TreeNode> nodes_before(int rank, std::size_t level) const {
    const int stride = levels_.stride(level);
    return nodes_of(rank / stride * stride, stride);
  }

  void exchange(std::size_t level) {
    const int size = levels_.sizes[level], mine = levels_.digit(me_, level);
    const std::size_t own_nodes = nodes_before(me_, level).size();
    const Label label{true, 2 * transport_.begin_collective(), "canonical sum in levels"};
    std::vector<std::vector<T>> outgoing(static_cast<std::size_t>(size)), incoming(outgoing.size());
    std::vector<int> next;
    std::size_t width = 0, at = 0;
    for (const int target : targets_) {
      const std::size_t count = own_nodes * of(target).size();
      const int digit = levels_.digit(target, level);
      std::vector<T>& to =
          digit == mine ? incoming[static_cast<std::size_t>(mine)] : outgoing[static_cast<std::size_t>(digit)];
      to.insert(to.end(), held_.begin() + static_cast<std::ptrdiff_t>(at),
                held_.begin() + static_cast<std::ptrdiff_t>(at + count));
      at += count;
      if (digit != mine) continue;
      next.push_back(target);
      width += of(target).size();
    }
    std::vector<Event> events;
    for (int shift = 1; shift < size; ++shift) {
      const int to = (mine + shift) % size, from = (mine + size - shift) % size;
      const int there = levels_.peer(me_, level, from);
      std::vector<T>&in = incoming[static_cast<std::size_t>(from)], &out = outgoing[static_cast<std::size_t>(to)];
      in.resize(width * nodes_before(there, level).size());
      if (!in.empty()) events.push_back(transport_.receive(std::as_writable_bytes(std::span(in)), there, label));
      if (!out.empty())
        events.push_back(transport_.send(std::as_bytes(std::span(out)), levels_.peer(me_, level, to), label));
    }
    transport_
        .observe({"canonical sum in levels", outgoing.size() * width * sizeof(T)},
                 [&] { return when_all(std::move(events)); })
        .wait();
    targets_ = std::move(next);
    add(level, incoming);
  }

  void add(std::size_t level, const std::vector<std::vector<T>>& incoming) {
    held_.clear();
    std::size_t before = 0;  // columns of the targets already added
    for (const int target : targets_) {
      const std::size_t columns = of(target).size();
      TreeAdder<T> adder(terms_, columns);
      for (int digit = 0; digit < levels_.sizes[level]; ++digit) {
        const std::vector<TreeNode> nodes = nodes_before(levels_.peer(me_, level, digit), level);
        const T* from = incoming[static_cast<std::size_t>(digit)].data() + before * nodes.size();
        for (std::size_t n = 0; n < nodes.size(); ++n) adder.add(nodes[n], from + n * columns);
      }
      before += columns;
      for (std::size_t n = 0; n < adder.nodes(); ++n)
        held_.insert(held_.end(), adder.sum(n).begin(), adder.sum(n).end());
      if (adder.nodes() != nodes_before(me_, level + 1).size())
        fail(ErrorKind::failure, "canonical sum in levels: {} nodes where {} were to be", adder.nodes(),
             nodes_before(me_, level + 1).size());
    }
  }

  Transport& transport_;
  const Levels& levels_;
  const std::size_t terms_;
  const std::span<const Range> columns_;
  const int me_;
  std::vector<int> targets_;  // ranks whose columns are here
  std::vector<T> held_;       // [target][node][column]
};

}  // namespace zonda::parallel
