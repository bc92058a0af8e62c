#pragma once
// Exchanges of many ranks in levels: within groups, then between groups of groups. P ranks in L levels send
// L (P^(1/L) - 1) messages each instead of P - 1, and between nodes only what a node has summed up.
#include <cstddef>
#include <vector>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

/// Ranks as numbers of several digits: sizes[0] neighbours are a group of the first level, sizes[1] such groups one of
/// the second ...; their product is the number of ranks. Ranks of a level's exchange differ in its digit alone.
struct Levels {
  std::vector<int> sizes;
  /// The order in which gathers take them; none: from the last to the first. What lies far apart should be gathered
  /// first, while it is little. Sums always go from the first level to the last.
  std::vector<std::size_t> gather_order{};

  int ranks() const;
  int stride(std::size_t level) const;  ///< between ranks of a level's group
  int digit(int rank, std::size_t level) const;
  /// The rank that differs from `rank` in this digit.
  int peer(int rank, std::size_t level, int digit) const;
  std::vector<std::size_t> gathers() const;  ///< their order
};

/// Levels for `ranks`, of which each `neighbours` that follow one another share a node (1: none do): the node's first,
/// where it divides the ranks and they are not all of them; the others in groups of at most `widest`, as even as the
/// number's factors allow.
Levels levels_for(int ranks, int neighbours, int widest = 32);

/// Ranks of one node, where all nodes have as many and ranks of a node follow one another; else 1. Of ranks that are
/// threads: all. Collective.
int ranks_per_node(const Communicator& world);

/// The same group, whose gathers of uneven parts and canonical sums go in levels. Bytes and bits are those of the plain
/// ones. Throws Error(usage) where the sizes do not make up the group.
Communicator in_levels(const Communicator& ranks, const Levels& levels);

/// What a rank sends in them: of gathers, with equal parts of `bytes` in all.
struct LevelTraffic {
  std::size_t messages = 0;
  std::vector<std::size_t> bytes;  ///< by level
};
LevelTraffic gather_traffic(const Levels& levels, std::size_t bytes);
/// Of sums of `bytes`, one tree node a rank and group.
LevelTraffic sum_traffic(const Levels& levels, std::size_t bytes);

}  // namespace zonda::parallel
