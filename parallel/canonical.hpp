#pragma once
// Sums that do not depend on the number of ranks: the terms are numbered globally, and added over one fixed binary
// tree.
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "parallel/communicator.hpp"
#include "parallel/partition.hpp"

namespace zonda::parallel {

/// Sum over a fixed tree: leaves in index order, neighbours added pairwise (i, i+1), then pairs of pairs. The same bits
/// whatever ranges the tree was cut into.
double tree_sum(std::span<const double> terms);

/// A node of the tree: the sum of the leaves [begin, end).
struct TreeNode {
  std::size_t begin, end;
};
/// The largest whole nodes of the tree over `terms` leaves that make up `range`, in order; at most 2 log2(terms).
std::vector<TreeNode> tree_nodes(std::size_t terms, Range range);
/// Whether the tree adds these two, neighbours in this order, to one node.
bool are_siblings(std::size_t terms, TreeNode left, TreeNode right);

/// In how many exchanges a sum of `terms` over `ranks` goes, the widest of whose shares has `widest` columns of numbers
/// of `size` bytes: buffers of 2 MiB, or of 16384 columns where ranks are many, and 16 exchanges at the most.
std::size_t canonical_rounds(std::size_t ranks, std::size_t terms, std::size_t widest, std::size_t size);

/// `terms` global terms, each a vector of `width` numbers; this rank computes terms [begin, end) = partition(terms,
/// size, rank) and passes them as `mine` [end - begin, width]. `total` [width] gets the tree sum on every rank: equal
/// bits on any number of ranks.
void canonical_all_reduce(const Communicator& communicator, std::size_t terms, std::size_t width,
                          std::span<const float> mine, std::span<float> total);
void canonical_all_reduce(const Communicator& communicator, std::size_t terms, std::size_t width,
                          std::span<const double> mine, std::span<double> total);
/// The same sum, of which this rank gets columns partition(width, size, rank) as `share`.
void canonical_reduce_scatter(const Communicator& communicator, std::size_t terms, std::size_t width,
                              std::span<const float> mine, std::span<float> share);
void canonical_reduce_scatter(const Communicator& communicator, std::size_t terms, std::size_t width,
                              std::span<const double> mine, std::span<double> share);
/// The same sum from nodes that this rank has added up: `sums[i]` [cuts.back()] is that of node i of tree_nodes(terms,
/// partition(terms, size, rank)). This rank gets columns [cuts[rank], cuts[rank + 1]); cuts ascend from 0. Columns go
/// some at a time: `spent(columns)` says which of `sums` will not be read again, so that their memory may go. `share`
/// may lie in its place within one of the sums; its columns are written after they were said to be spent.
void canonical_reduce_scatter(const Communicator& communicator, std::size_t terms, std::span<const std::size_t> cuts,
                              std::span<const std::span<const float>> sums, std::span<float> share,
                              const std::function<void(Range columns)>& spent = {});

}  // namespace zonda::parallel
