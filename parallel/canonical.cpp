#include "parallel/canonical.hpp"

#include <algorithm>
#include <bit>
#include <vector>

#include "core/error.hpp"
#include "parallel/levelled_sum.hpp"
#include "parallel/partition.hpp"
#include "parallel/transport.hpp"
#include "parallel/tree_adder.hpp"

namespace zonda::parallel {
namespace {

/// Columns travel in blocks, so that the buffers stay small; of so many ranks, or of terms so wide, that messages would
/// be too short or too many, in larger ones.
constexpr std::size_t buffer_bytes = std::size_t{2} << 20, most_buffer_bytes = std::size_t{64} << 20,
                      fewest_columns = 16384, most_rounds = 16;

using Node = TreeNode;

/// Columns of each share that go at once. The same on all ranks, so from numbers that all of them know. Held of a
/// column are what goes out, what comes in and what is being added.
std::size_t columns_at_once(std::size_t ranks, std::size_t terms, std::size_t widest, std::size_t size) {
  std::size_t nodes = 0, most_nodes = 0;
  for (std::size_t r = 0; r < ranks; ++r) {
    const std::size_t of_rank = tree_nodes(terms, partition(terms, ranks, r)).size();
    nodes += of_rank;
    most_nodes = std::max(most_nodes, of_rank);
  }
  const std::size_t per_column =
      size * (most_nodes * ranks + nodes + static_cast<std::size_t>(std::bit_width(terms)) + 1);
  return std::max({buffer_bytes / per_column, std::min(most_buffer_bytes / per_column, fewest_columns),
                   (widest + most_rounds - 1) / most_rounds, std::size_t{1}});
}

/// Sums of nodes to columns: `fill(n, columns, to)` writes those columns of the sum of this rank's node n;
/// `as_it_is`, where not null, is its only node's sum. `spent(columns)`: they will not be read again.
template <class T, class Fill, class Spent>
void reduce_scatter_nodes(const Communicator& communicator, std::size_t terms, std::span<const std::size_t> cuts,
                          const T* as_it_is, Fill&& fill, Spent&& spent, std::span<T> share) {
  const auto ranks = static_cast<std::size_t>(communicator.size()),
             rank = static_cast<std::size_t>(communicator.rank());
  const auto columns_of = [&](std::size_t r) { return Range{cuts[r], cuts[r + 1]}; };
  std::vector<std::vector<Node>> nodes(ranks);  // what each rank sums alone
  std::size_t widest = 0;
  for (std::size_t r = 0; r < ranks; ++r) {
    nodes[r] = tree_nodes(terms, partition(terms, ranks, r));
    widest = std::max(widest, columns_of(r).size());
  }
  if (terms == 0) {
    std::fill(share.begin(), share.end(), T{0});
    return;
  }
  const std::size_t block = columns_at_once(ranks, terms, widest, sizeof(T));
  // One node and all columns at once: it goes out from where it is.
  const bool direct = as_it_is && nodes[rank].size() == 1 && widest <= block;
  std::vector<T> sums, received;
  for (std::size_t first = 0; first < widest; first += block) {
    const auto in_block = [&](std::size_t r) {
      const Range all = columns_of(r);
      const std::size_t begin = std::min(all.begin + first, all.end);
      return Range{begin, std::min(begin + block, all.end)};
    };
    const auto block_is_spent = [&] {
      for (std::size_t r = 0; r < ranks; ++r)
        if (const Range theirs = in_block(r); theirs.size() > 0) spent(theirs);
    };
    if (const Levels* levels = communicator.transport()->levels()) {
      std::vector<Range> columns;
      for (std::size_t r = 0; r < ranks; ++r) columns.push_back(in_block(r));
      const std::vector<T> sum = LevelledSum<T>(*communicator.transport(), *levels, terms, columns).run(fill);
      block_is_spent();
      std::ranges::copy(sum, share.data() + first);
      continue;
    }
    // The sums of this rank's own nodes, laid out by the rank that will finish each column.
    std::vector<std::size_t> send_offset(ranks + 1), receive_offset(ranks + 1);
    const std::size_t mine_columns = in_block(rank).size();
    for (std::size_t r = 0; r < ranks; ++r) {
      send_offset[r + 1] = send_offset[r] + nodes[rank].size() * in_block(r).size() * sizeof(T);
      receive_offset[r + 1] = receive_offset[r] + nodes[r].size() * mine_columns * sizeof(T);
    }
    if (!direct) {
      sums.resize(send_offset[ranks] / sizeof(T));
      for (std::size_t n = 0; n < nodes[rank].size(); ++n)
        for (std::size_t r = 0; r < ranks; ++r)
          if (const Range theirs = in_block(r); theirs.size() > 0)
            fill(n, theirs, sums.data() + send_offset[r] / sizeof(T) + n * theirs.size());
      block_is_spent();
    }
    // Every rank finishes its columns in the order of the tree.
    received.resize(receive_offset[ranks] / sizeof(T));
    const std::span<const T> sent = direct ? std::span<const T>(as_it_is, cuts[ranks]) : std::span<const T>(sums);
    communicator
        .all_to_all(std::as_bytes(sent), send_offset, std::as_writable_bytes(std::span(received)), receive_offset)
        .wait();
    if (direct) block_is_spent();
    if (mine_columns == 0) continue;
    TreeAdder<T> adder(terms, mine_columns);
    std::size_t at = 0;
    for (std::size_t r = 0; r < ranks; ++r)
      for (const Node node : nodes[r]) {
        adder.add(node, received.data() + at);
        at += mine_columns;
      }
    std::copy_n(adder.sum().data(), mine_columns, share.data() + first);
  }
}

std::vector<std::size_t> even_cuts(std::size_t width, std::size_t ranks) {
  std::vector<std::size_t> cuts{0};
  for (std::size_t r = 0; r < ranks; ++r) cuts.push_back(partition(width, ranks, r).end);
  return cuts;
}

template <class T>
void reduce_scatter(const Communicator& communicator, std::size_t terms, std::size_t width, std::span<const T> mine,
                    std::span<T> share) {
  const auto ranks = static_cast<std::size_t>(communicator.size()),
             rank = static_cast<std::size_t>(communicator.rank());
  const Range own = partition(terms, ranks, rank);
  const std::vector<std::size_t> cuts = even_cuts(width, ranks);
  const std::size_t room = cuts[rank + 1] - cuts[rank];
  if (mine.size() != own.size() * width || share.size() != room)
    fail(ErrorKind::failure,
         "canonical sum: rank {} of {} must pass {} x {} values and room for {}; it passed {} and {}", rank, ranks,
         own.size(), width, room, mine.size(), share.size());
  const std::vector<Node> nodes = tree_nodes(terms, own);
  const auto fill = [&](std::size_t n, Range columns, T* to) {
    const Node node = nodes[n];
    const auto row = [&](std::size_t leaf) { return mine.data() + (leaf - own.begin) * width + columns.begin; };
    if (node.end - node.begin == 1) {
      std::copy_n(row(node.begin), columns.size(), to);
      return;
    }
    TreeAdder<T> adder(terms, columns.size());
    for (std::size_t leaf = node.begin; leaf < node.end; ++leaf) adder.add({leaf, leaf + 1}, row(leaf));
    std::copy_n(adder.sum().data(), columns.size(), to);
  };
  reduce_scatter_nodes<T>(
      communicator, terms, cuts, own.size() == 1 ? mine.data() : nullptr, fill, [](Range) {}, share);
}

template <class T>
void all_reduce(const Communicator& communicator, std::size_t terms, std::size_t width, std::span<const T> mine,
                std::span<T> total) {
  const auto ranks = static_cast<std::size_t>(communicator.size()),
             rank = static_cast<std::size_t>(communicator.rank());
  if (total.size() != width)
    fail(ErrorKind::failure, "canonical_all_reduce: room for {} values is needed, not {}", width, total.size());
  const Range columns = partition(width, ranks, rank);
  const std::span<T> share = total.subspan(columns.begin, columns.size());
  reduce_scatter(communicator, terms, width, mine, share);
  std::vector<std::size_t> offset{0};
  for (std::size_t r = 0; r < ranks; ++r) offset.push_back(partition(width, ranks, r).end * sizeof(T));
  communicator.all_gather(std::as_bytes(share), std::as_writable_bytes(total), offset).wait();
}

}  // namespace

std::vector<TreeNode> tree_nodes(std::size_t terms, Range range) {
  // A node of level l begins at a multiple of 2^l and has 2^l leaves, or fewer where the leaves end.
  std::vector<Node> nodes;
  for (std::size_t begin = range.begin; begin < range.end;) {
    std::size_t length = 1;
    while (begin % (2 * length) == 0 && std::min(begin + 2 * length, terms) <= range.end && length < terms) length *= 2;
    const std::size_t end = std::min(begin + length, terms);
    nodes.push_back({begin, end});
    begin = end;
  }
  return nodes;
}

bool are_siblings(std::size_t terms, TreeNode left, TreeNode right) {
  const std::size_t length = left.end - left.begin;  // of a left child always the full power of two
  if (left.begin % (2 * length) != 0 || !std::has_single_bit(length)) return false;
  return right.end == std::min(left.begin + 2 * length, terms);
}

double tree_sum(std::span<const double> terms) {
  if (terms.empty()) return 0;
  TreeAdder<double> adder(terms.size(), 1);
  for (std::size_t i = 0; i < terms.size(); ++i) adder.add({i, i + 1}, &terms[i]);
  return adder.sum().front();
}

void canonical_all_reduce(const Communicator& communicator, std::size_t terms, std::size_t width,
                          std::span<const float> mine, std::span<float> total) {
  all_reduce(communicator, terms, width, mine, total);
}
void canonical_all_reduce(const Communicator& communicator, std::size_t terms, std::size_t width,
                          std::span<const double> mine, std::span<double> total) {
  all_reduce(communicator, terms, width, mine, total);
}
void canonical_reduce_scatter(const Communicator& communicator, std::size_t terms, std::size_t width,
                              std::span<const float> mine, std::span<float> share) {
  reduce_scatter(communicator, terms, width, mine, share);
}
void canonical_reduce_scatter(const Communicator& communicator, std::size_t terms, std::size_t width,
                              std::span<const double> mine, std::span<double> share) {
  reduce_scatter(communicator, terms, width, mine, share);
}

std::size_t canonical_rounds(std::size_t ranks, std::size_t terms, std::size_t widest, std::size_t size) {
  const std::size_t block = columns_at_once(ranks, terms, widest, size);
  return terms == 0 ? 0 : (widest + block - 1) / block;
}

void canonical_reduce_scatter(const Communicator& communicator, std::size_t terms, std::span<const std::size_t> cuts,
                              std::span<const std::span<const float>> sums, std::span<float> share,
                              const std::function<void(Range)>& spent) {
  const auto ranks = static_cast<std::size_t>(communicator.size()),
             rank = static_cast<std::size_t>(communicator.rank());
  const std::size_t nodes = tree_nodes(terms, partition(terms, ranks, rank)).size();
  const bool fits = cuts.size() == ranks + 1 && cuts.front() == 0 && std::is_sorted(cuts.begin(), cuts.end()) &&
                    sums.size() == nodes && share.size() == cuts[rank + 1] - cuts[rank] &&
                    std::all_of(sums.begin(), sums.end(), [&](auto sum) { return sum.size() == cuts[ranks]; });
  if (!fits)
    fail(ErrorKind::failure, "canonical sum: rank {} of {} must pass {} nodes of {} columns cut for each rank", rank,
         ranks, nodes, cuts.empty() ? 0 : cuts.back());
  const auto fill = [&](std::size_t n, Range columns, float* to) {
    std::copy_n(sums[n].data() + columns.begin, columns.size(), to);
  };
  const auto tell = [&](Range columns) {
    if (spent) spent(columns);
  };
  reduce_scatter_nodes<float>(communicator, terms, cuts, sums.size() == 1 ? sums[0].data() : nullptr, fill, tell,
                              share);
}

}  // namespace zonda::parallel
