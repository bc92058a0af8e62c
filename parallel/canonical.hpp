#pragma once
// Sums that do not depend on the number of ranks: the terms are numbered globally, and added over one fixed binary
// tree.
#include <cstddef>
#include <functional>
#include <span>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

/// Sum over a fixed tree: leaves in index order, neighbours added pairwise (i, i+1), then pairs of pairs. The same bits
/// whatever ranges the tree was cut into.
double tree_sum(std::span<const double> terms);

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

}  // namespace zonda::parallel
