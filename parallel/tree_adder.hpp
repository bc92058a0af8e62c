#pragma once
// Sums of a tree's nodes as they come, in order.
#include <cstddef>
#include <span>
#include <vector>

#include "parallel/canonical.hpp"

namespace zonda::parallel {

/// Adds neighbours as the tree over `terms` leaves does: keeps finished nodes on a stack, and joins the two on top when
/// they are siblings.
template <class T>
class TreeAdder {
 public:
  TreeAdder(std::size_t terms, std::size_t width) : terms_(terms), width_(width) {}

  /// The next node in order, with its sum [width].
  void add(TreeNode node, const T* sum) {
    // A right child is added to its sibling where it is; only a left child is copied.
    if (depth_ > 0 && are_siblings(terms_, stack_[depth_ - 1].node, node)) {
      join(stack_[depth_ - 1], node, sum);
      while (depth_ > 1 && are_siblings(terms_, stack_[depth_ - 2].node, stack_[depth_ - 1].node)) {
        join(stack_[depth_ - 2], stack_[depth_ - 1].node, stack_[depth_ - 1].sum.data());
        --depth_;
      }
      return;
    }
    if (stack_.size() == depth_) stack_.emplace_back();
    Entry& entry = stack_[depth_++];
    entry.node = node;
    entry.sum.assign(sum, sum + width_);
  }
  /// The nodes that what was added makes up, in order, and their sums.
  std::size_t nodes() const { return depth_; }
  TreeNode node(std::size_t i) const { return stack_[i].node; }
  const std::vector<T>& sum(std::size_t i = 0) const { return stack_[i].sum; }

 private:
  struct Entry {
    TreeNode node;
    std::vector<T> sum;
  };
  void join(Entry& left, TreeNode right, const T* sum) {
    for (std::size_t i = 0; i < width_; ++i) left.sum[i] += sum[i];
    left.node.end = right.end;
  }
  std::size_t terms_, width_;
  std::vector<Entry> stack_;  // the first depth_ are in use; the others keep their memory
  std::size_t depth_ = 0;
};

}  // namespace zonda::parallel
