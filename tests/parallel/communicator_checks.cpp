#include "communicator_checks.hpp"

#include <time.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "parallel/canonical.hpp"
#include "parallel/counting.hpp"
#include "parallel/partition.hpp"

namespace zonda::parallel {
namespace {

template <class T>
std::span<const std::byte> bytes(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}
template <class T>
std::span<std::byte> writable(std::vector<T>& values) {
  return std::as_writable_bytes(std::span(values));
}

/// What rank `rank` holds at place `i`: different bits everywhere, of mixed sign and size.
double term(int rank, std::size_t i) {
  static const Philox noise(7, "communicator checks");
  const std::uint64_t index = static_cast<std::uint64_t>(rank) * 10'000'019 + i;
  return noise.normal(index) * std::exp2(static_cast<double>(index % 23) - 11);
}

template <class T>
std::vector<T> terms(int rank, std::size_t n) {
  std::vector<T> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<T>(1000 * term(rank, i));
  return values;
}

template <class T>
void expect_equal_bits(std::span<const T> found, std::span<const T> expected, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (std::memcmp(&found[i], &expected[i], sizeof(T)) == 0) continue;
    FAIL() << what << ": element " << i << " is " << found[i] << ", expected " << expected[i];
  }
}

void barrier(const Communicator& c) {
  for (int i = 0; i < 5; ++i) c.barrier();
  EXPECT_GE(c.rank(), 0);
  EXPECT_LT(c.rank(), c.size());
}

void broadcast(const Communicator& c) {
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{300'000}}) {
    for (int root = 0; root < c.size(); ++root) {
      std::vector<double> values = c.rank() == root ? terms<double>(root, n) : std::vector<double>(n, -1);
      c.broadcast(writable(values), root).wait();
      expect_equal_bits<double>(values, terms<double>(root, n), fmt::format("broadcast of {} from {}", n, root));
    }
  }
}

void send_and_receive(const Communicator& c) {
  const int to = (c.rank() + 1) % c.size(), from = (c.rank() + c.size() - 1) % c.size();
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{500'000}}) {
    const auto mine = terms<float>(c.rank(), n);
    std::vector<float> theirs(n, -1);
    Event received = c.receive(writable(theirs), from, 11);
    Event sent = c.send(bytes(mine), to, 11);
    received.wait();
    sent.wait();
    sent.wait();  // a second wait is nothing
    EXPECT_TRUE(sent.test());
    expect_equal_bits<float>(theirs, terms<float>(from, n), fmt::format("ring of {}", n));
  }
}

void messages_match_by_tag_and_order(const Communicator& c) {
  // Sent with tags 1, 2, 2; received in another order, and the last posted waited for first.
  const int to = (c.rank() + 1) % c.size(), from = (c.rank() + c.size() - 1) % c.size();
  std::vector<std::vector<int>> sent, received(3, std::vector<int>(1, -1));
  for (int i = 0; i < 3; ++i) sent.push_back({100 * c.rank() + i});
  std::vector<Event> events;
  for (int i = 0; i < 3; ++i) events.push_back(c.send(bytes(sent[static_cast<std::size_t>(i)]), to, i == 0 ? 1 : 2));
  Event second = c.receive(writable(received[1]), from, 2);
  Event third = c.receive(writable(received[2]), from, 2);
  Event first = c.receive(writable(received[0]), from, 1);
  third.wait();
  second.wait();
  first.wait();
  for (Event& event : events) event.wait();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(received[static_cast<std::size_t>(i)][0], 100 * from + i);
}

double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// What a rank spends in waiting, however busily, does not count as its work.
void waiting_is_no_work(const Communicator& c) {
  const double processor = processor_seconds(), worked = processor_seconds_worked();
  if (c.is_root()) {
    while (processor_seconds_worked() < worked + 0.05) {
    }
  }
  c.barrier();
  const double work = processor_seconds_worked() - worked;
  EXPECT_GE(work, c.is_root() ? 0.05 : 0.0);
  EXPECT_LE(work, processor_seconds() - processor);
}

void all_gather(const Communicator& c) {
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{777}, std::size_t{200'000}}) {
    const auto mine = terms<float>(c.rank(), n);
    std::vector<float> all(n * static_cast<std::size_t>(c.size()), -1);
    c.all_gather(bytes(mine), writable(all)).wait();
    for (int r = 0; r < c.size(); ++r)
      expect_equal_bits<float>(std::span(all).subspan(static_cast<std::size_t>(r) * n, n), terms<float>(r, n),
                               fmt::format("all_gather of {}, part {}", n, r));
  }
}

/// Numbers that rank a sends to rank b: uneven, many of them zero.
std::size_t parcel(int a, int b, std::size_t scale) {
  return (static_cast<std::size_t>(a) * 7 + static_cast<std::size_t>(b) * 3) % 5 * scale;
}

void exchange_parcels(const Communicator& c, std::size_t scale) {
  const auto ranks = static_cast<std::size_t>(c.size());
  std::vector<std::size_t> out(ranks + 1), in(ranks + 1);
  std::vector<double> data;
  for (int r = 0; r < c.size(); ++r) {
    const auto slot = static_cast<std::size_t>(r);
    out[slot + 1] = out[slot] + parcel(c.rank(), r, scale) * sizeof(double);
    in[slot + 1] = in[slot] + parcel(r, c.rank(), scale) * sizeof(double);
    const auto part = terms<double>(100 * c.rank() + r, parcel(c.rank(), r, scale));
    data.insert(data.end(), part.begin(), part.end());
  }
  std::vector<double> received(in.back() / sizeof(double), -1);
  c.all_to_all(bytes(data), out, writable(received), in).wait();
  for (int r = 0; r < c.size(); ++r) {
    const std::size_t n = parcel(r, c.rank(), scale);
    expect_equal_bits<double>(std::span(received).subspan(in[static_cast<std::size_t>(r)] / sizeof(double), n),
                              terms<double>(100 * r + c.rank(), n), fmt::format("all_to_all from {}", r));
  }
}

void all_to_all_uneven(const Communicator& c) {
  exchange_parcels(c, 0);  // nothing at all
  exchange_parcels(c, 1);
  exchange_parcels(c, 13'331);
}

template <class T>
void reduce(const Communicator& c, std::size_t n, Reduction reduction, const char* name) {
  auto expected = terms<T>(0, n);
  for (int r = 1; r < c.size(); ++r) {
    const auto next = terms<T>(r, n);
    for (std::size_t i = 0; i < n; ++i)
      expected[i] = reduction == Reduction::sum   ? static_cast<T>(expected[i] + next[i])
                    : reduction == Reduction::min ? std::min(expected[i], next[i])
                                                  : std::max(expected[i], next[i]);
  }
  auto values = terms<T>(c.rank(), n);
  c.all_reduce(std::span(values), reduction).wait();
  expect_equal_bits<T>(values, expected, fmt::format("all_reduce {} of {}", name, n));
}

void all_reduce_in_rank_order(const Communicator& c) {
  for (const std::size_t n :
       {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{1000}, std::size_t{100'003}}) {
    for (const auto& [reduction, name] :
         {std::pair{Reduction::sum, "sum"}, std::pair{Reduction::min, "min"}, std::pair{Reduction::max, "max"}}) {
      reduce<double>(c, n, reduction, name);
      reduce<float>(c, n, reduction, name);
      reduce<std::int64_t>(c, n, reduction, name);
    }
  }
}

void all_reduce_keeps_nan(const Communicator& c) {
  for (int bad = 0; bad < c.size(); ++bad) {
    for (const auto reduction : {Reduction::sum, Reduction::min, Reduction::max}) {
      std::array<double, 2> values{static_cast<double>(c.rank()), 1};
      if (c.rank() == bad) values[0] = std::numeric_limits<double>::quiet_NaN();
      c.all_reduce(std::span<double>(values), reduction).wait();
      EXPECT_TRUE(std::isnan(values[0])) << "NaN of rank " << bad << " got lost";
      EXPECT_EQ(values[1], reduction == Reduction::sum ? c.size() : 1);
    }
  }
}

void many_operations_at_once(const Communicator& c) {
  // Started in one order, waited for in another, each rank in its own.
  constexpr std::size_t n = 50'000, count = 4;
  std::vector<std::vector<double>> sums;
  std::vector<std::vector<float>> gathered(count), mine(count);
  std::vector<Event> events;
  for (std::size_t k = 0; k < count; ++k) sums.push_back(terms<double>(c.rank() + 10 * static_cast<int>(k), n));
  for (std::size_t k = 0; k < count; ++k) {
    events.push_back(c.all_reduce(std::span(sums[k]), Reduction::sum));
    mine[k] = terms<float>(c.rank(), k * 1000);
    gathered[k].resize(mine[k].size() * static_cast<std::size_t>(c.size()));
    events.push_back(c.all_gather(bytes(mine[k]), writable(gathered[k])));
  }
  const std::size_t first = static_cast<std::size_t>(c.rank()) * 3;
  for (std::size_t i = 0; i < events.size(); ++i) events[(first + events.size() - i) % events.size()].wait();
  for (std::size_t k = 0; k < count; ++k) {
    auto expected = terms<double>(10 * static_cast<int>(k), n);
    for (int r = 1; r < c.size(); ++r) {
      const auto next = terms<double>(r + 10 * static_cast<int>(k), n);
      for (std::size_t i = 0; i < n; ++i) expected[i] += next[i];
    }
    expect_equal_bits<double>(sums[k], expected, "one of several sums");
    for (int r = 0; r < c.size(); ++r)
      expect_equal_bits<float>(std::span(gathered[k]).subspan(static_cast<std::size_t>(r) * k * 1000, k * 1000),
                               terms<float>(r, k * 1000), "one of several gathers");
  }
}

void a_sum_goes_on_while_its_rank_waits_for_something_else(const Communicator& c) {
  // The last rank starts the sum and then waits for a message that rank 0 sends only when the sum is over.
  if (c.size() == 1) return;
  auto values = terms<double>(c.rank(), 60'000);
  Event sum = c.all_reduce(std::span(values), Reduction::sum);
  std::vector<int> word{c.rank()};
  if (c.rank() == 0) {
    sum.wait();
    for (int r = 1; r < c.size(); ++r) c.send(bytes(word), r, 5).wait();
  } else {
    c.receive(writable(word), 0, 5).wait();
    EXPECT_EQ(word[0], 0);
    sum.wait();
  }
  EXPECT_NE(values[0], term(c.rank(), 0));
}

void gather_of_any_length(const Communicator& c) {
  const auto expected = [](int r) {
    return std::string(static_cast<std::size_t>(r) * 3 % 7, static_cast<char>('a' + r));
  };
  const std::string mine = expected(c.rank());
  const auto all = c.all_gather_variable(std::as_bytes(std::span(mine)));
  ASSERT_EQ(all.size(), static_cast<std::size_t>(c.size()));
  for (int r = 0; r < c.size(); ++r) {
    const auto& part = all[static_cast<std::size_t>(r)];
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(part.data()), part.size()), expected(r));
  }
}

void split_by_colour_and_key(const Communicator& c) {
  // Odd and even ranks, in reverse order; negative colours are colours as well.
  const int color = c.rank() % 2 == 0 ? -5 : 3;
  const Communicator half = c.split(color, -c.rank());
  const int members = c.rank() % 2 == 0 ? (c.size() + 1) / 2 : c.size() / 2;
  EXPECT_EQ(half.size(), members);
  std::vector<int> mine{c.rank()}, all(static_cast<std::size_t>(half.size()));
  half.all_gather(bytes(mine), writable(all)).wait();
  EXPECT_EQ(all[static_cast<std::size_t>(half.rank())], c.rank());
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_EQ(all[i], all[i - 1] - 2);
  // Equal keys keep the order; a group of a group; the parent still works.
  const Communicator same = c.split(0, 0);
  EXPECT_EQ(same.rank(), c.rank());
  EXPECT_EQ(same.size(), c.size());
  const Communicator alone = half.split(half.rank(), 0);
  EXPECT_EQ(alone.size(), 1);
  std::int64_t sum = c.rank();
  c.all_reduce(std::span(&sum, 1), Reduction::sum).wait();
  EXPECT_EQ(sum, c.size() * (c.size() - 1) / 2);
  std::int64_t half_sum = 1;
  half.all_reduce(std::span(&half_sum, 1), Reduction::sum).wait();
  EXPECT_EQ(half_sum, members);
}

void agreement_on_errors(const Communicator& c) {
  c.agree(static_cast<int>(ErrorKind::failure), "");
  for (int bad = 0; bad < c.size(); ++bad) {
    // `bad` and all ranks above it complain: everybody hears the lowest.
    const std::string complaint = c.rank() >= bad ? fmt::format("field {} is broken", c.rank()) : "";
    try {
      c.agree(static_cast<int>(c.rank() == bad ? ErrorKind::data : ErrorKind::numerical), complaint);
      ADD_FAILURE() << "rank " << c.rank() << " did not hear of the error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_EQ(error.what(), fmt::format("field {} is broken", bad));
    }
  }
  c.barrier();
}

/// Sum of the leaves [begin, end) of the tree, straight from its definition.
template <class T>
T tree(const std::vector<T>& leaves, std::size_t terms_, std::size_t begin, std::size_t length) {
  const std::size_t middle = begin + length / 2;
  if (length == 1) return leaves[begin];
  if (middle >= terms_) return tree(leaves, terms_, begin, length / 2);
  return static_cast<T>(tree(leaves, terms_, begin, length / 2) + tree(leaves, terms_, middle, length / 2));
}

template <class T>
void canonical(const Communicator& c, std::size_t count, std::size_t width) {
  const Range own = partition(count, static_cast<std::size_t>(c.size()), static_cast<std::size_t>(c.rank()));
  std::vector<T> mine;
  for (std::size_t i = own.begin; i < own.end; ++i) {
    const auto row = terms<T>(static_cast<int>(i) + 1000, width);
    mine.insert(mine.end(), row.begin(), row.end());
  }
  std::vector<T> total(width, -1), expected(width);
  canonical_all_reduce(c, count, width, std::span<const T>(mine), std::span(total));
  std::vector<T> column(count);
  for (std::size_t w = 0; w < width; ++w) {
    for (std::size_t i = 0; i < count; ++i) column[i] = static_cast<T>(1000 * term(static_cast<int>(i) + 1000, w));
    expected[w] = count == 0 ? T{0} : tree(column, count, 0, std::bit_ceil(count));
    if constexpr (std::is_same_v<T, double>) {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(tree_sum(column)), std::bit_cast<std::uint64_t>(expected[w]));
    }
  }
  expect_equal_bits<T>(total, expected, fmt::format("canonical sum of {} terms of width {}", count, width));
}

void canonical_sums(const Communicator& c) {
  for (const std::size_t count : {0, 1, 2, 3, 5, 7, 8, 9, 13, 16, 31, 100}) {
    for (const std::size_t width : {0, 1, 3, 17}) {
      canonical<double>(c, count, width);
      canonical<float>(c, count, width);
    }
  }
  canonical<float>(c, 12, 4099);
}

void reduce_scatter_in_rank_order(const Communicator& c) {
  const auto ranks = static_cast<std::size_t>(c.size()), rank = static_cast<std::size_t>(c.rank());
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, ranks, std::size_t{1003}, std::size_t{100'003}}) {
    const std::vector<float> mine = terms<float>(c.rank(), n);
    std::vector<float> expected = terms<float>(0, n);
    for (int r = 1; r < c.size(); ++r) {
      const std::vector<float> next = terms<float>(r, n);
      for (std::size_t i = 0; i < n; ++i) expected[i] += next[i];
    }
    const Range own = partition(n, ranks, rank);
    std::vector<float> part(own.size());
    c.reduce_scatter(mine, std::span(part)).wait();
    expect_equal_bits<float>(part, std::span(expected).subspan(own.begin, own.size()), "reduce_scatter");
    // The library's order is another one, but the terms are the same.
    c.reduce_scatter(mine, std::span(part), Order::any).wait();
    std::vector<float> all = mine;
    c.all_reduce(std::span(all), Reduction::sum, Order::any).wait();
    for (std::size_t i = 0; i < n; ++i) ASSERT_NEAR(all[i], expected[i], 1e-6F * 1000 * 4096 * c.size());
    for (std::size_t i = 0; i < part.size(); ++i) {
      ASSERT_NEAR(part[i], expected[own.begin + i], 1e-6F * 1000 * 4096 * c.size());
    }
  }
}

void uneven_gather(const Communicator& c) {
  const auto ranks = static_cast<std::size_t>(c.size()), rank = static_cast<std::size_t>(c.rank());
  // Rank r gives r % 3 * 5 numbers: some give nothing.
  std::vector<std::size_t> offset{0};
  for (std::size_t r = 0; r < ranks; ++r) offset.push_back(offset.back() + r % 3 * 5 * sizeof(double));
  const std::vector<double> mine = terms<double>(c.rank(), rank % 3 * 5);
  std::vector<double> all(offset.back() / sizeof(double), -1), expected;
  for (std::size_t r = 0; r < ranks; ++r) {
    const auto part = terms<double>(static_cast<int>(r), r % 3 * 5);
    expected.insert(expected.end(), part.begin(), part.end());
  }
  c.all_gather(bytes(mine), writable(all), offset).wait();
  expect_equal_bits<double>(all, expected, "uneven gather");
  EXPECT_THROW(c.all_gather(std::as_bytes(std::span("too long for its place")), writable(all), offset), Error);
}

/// The canonical sum from nodes that each rank added up itself, in shares of any width, holds the bits of the whole
/// one.
void canonical_nodes(const Communicator& c) {
  const auto ranks = static_cast<std::size_t>(c.size()), rank = static_cast<std::size_t>(c.rank());
  constexpr std::size_t width = 41;
  for (const std::size_t count : {1, 5, 8, 13, 21}) {
    const Range own = partition(count, ranks, rank);
    std::vector<float> mine(own.size() * width), total(width);
    for (std::size_t i = 0; i < mine.size(); ++i)
      mine[i] = static_cast<float>(std::sin(static_cast<double>(own.begin * width + i) * 1.37) * 1e3);
    canonical_all_reduce(c, count, width, std::span<const float>(mine), std::span(total));
    // Nodes as one finds them who adds leaf by leaf, and joins what the tree joins.
    std::vector<TreeNode> nodes;
    std::vector<std::vector<float>> sums;
    for (std::size_t leaf = own.begin; leaf < own.end; ++leaf) {
      nodes.push_back({leaf, leaf + 1});
      const auto row = mine.begin() + static_cast<std::ptrdiff_t>((leaf - own.begin) * width);
      sums.emplace_back(row, row + static_cast<std::ptrdiff_t>(width));
      while (nodes.size() > 1 && are_siblings(count, nodes[nodes.size() - 2], nodes.back())) {
        for (std::size_t i = 0; i < width; ++i) sums[sums.size() - 2][i] += sums.back()[i];
        nodes[nodes.size() - 2].end = nodes.back().end;
        nodes.pop_back();
        sums.pop_back();
      }
    }
    ASSERT_EQ(nodes.size(), tree_nodes(count, own).size());
    // The first rank gets half of what is left each time, so that the last ones get nothing.
    std::vector<std::size_t> cuts{0};
    for (std::size_t r = 0; r < ranks; ++r) cuts.push_back(r + 1 == ranks ? width : (cuts.back() + width + 1) / 2);
    const std::vector<std::span<const float>> views(sums.begin(), sums.end());
    std::vector<float> share(cuts[rank + 1] - cuts[rank]);
    canonical_reduce_scatter(c, count, cuts, views, share);
    expect_equal_bits<float>(share, std::span(total).subspan(cuts[rank], share.size()), "share of a sum of nodes");
  }
}

/// Wide sums go some columns at a time; what was said to be spent is not read again, and the share may lie there.
void canonical_columns_are_spent(const Communicator& c) {
  const auto ranks = static_cast<std::size_t>(c.size()), rank = static_cast<std::size_t>(c.rank());
  const std::size_t width = 100'001;
  std::vector<std::size_t> cuts{0};
  for (std::size_t r = 0; r < ranks; ++r) cuts.push_back(r + 1 == ranks ? width : (cuts.back() + width + 1) / 2);
  for (const std::size_t of_rank : {1, 3}) {
    const std::size_t count = of_rank * ranks;
    const Range own = partition(count, ranks, rank);
    const std::vector<float> mine = terms<float>(c.rank(), own.size() * width);
    std::vector<float> total(width);
    canonical_all_reduce(c, count, width, std::span<const float>(mine), std::span(total));
    std::vector<std::vector<float>> sums;
    for (const TreeNode node : tree_nodes(count, own)) {
      ASSERT_LE(node.end - node.begin, 3U);  // leaf after leaf is the tree then
      const float* row = mine.data() + (node.begin - own.begin) * width;
      std::vector<float>& sum = sums.emplace_back(row, row + width);
      for (std::size_t i = width; i < (node.end - node.begin) * width; ++i) sum[i % width] += row[i];
    }
    const std::vector<std::span<const float>> views(sums.begin(), sums.end());
    std::vector<int> times(width);
    const std::span<float> share = std::span(sums[0]).subspan(cuts[rank], cuts[rank + 1] - cuts[rank]);
    canonical_reduce_scatter(c, count, cuts, views, share, [&](Range columns) {
      for (std::size_t i = columns.begin; i < columns.end; ++i) {
        ++times[i];
        for (std::vector<float>& sum : sums) sum[i] = std::nanf("");
      }
    });
    EXPECT_THAT(times, testing::Each(1));
    expect_equal_bits<float>(share, std::span(total).subspan(cuts[rank], share.size()), "share in its place");
  }
}

/// Each rank's share of the canonical sum holds the bits of the whole one.
void canonical_shares(const Communicator& c) {
  const auto ranks = static_cast<std::size_t>(c.size()), rank = static_cast<std::size_t>(c.rank());
  for (const std::size_t width : {std::size_t{2}, std::size_t{17}, std::size_t{5001}}) {
    const std::size_t count = 13;
    const Range own = partition(count, ranks, rank), columns = partition(width, ranks, rank);
    const std::vector<float> mine = terms<float>(c.rank(), own.size() * width);
    std::vector<float> total(width), share(columns.size());
    canonical_all_reduce(c, count, width, std::span<const float>(mine), std::span(total));
    canonical_reduce_scatter(c, count, width, std::span<const float>(mine), std::span(share));
    expect_equal_bits<float>(share, std::span(total).subspan(columns.begin, columns.size()), "share");
  }
}

void traffic_equals_the_formulas(const Communicator& plain) {
  const auto traffic = std::make_shared<Traffic>();
  const Communicator c = counted(plain, traffic);
  const auto others = static_cast<std::uint64_t>(c.size() - 1);
  std::vector<float> mine(100), all(100 * static_cast<std::size_t>(c.size()));
  c.all_gather(bytes(mine), writable(all)).wait();
  EXPECT_EQ(traffic->all_gather.bytes, 400 * others);
  // A large sum: everyone sends all segments but its own, then its own to all: 2 (P - 1) / P of the array.
  const std::size_t n = 30'000 * static_cast<std::size_t>(c.size());
  std::vector<double> values(n, 1);
  c.all_reduce(std::span(values), Reduction::sum).wait();
  EXPECT_EQ(values[0], c.size());
  EXPECT_EQ(traffic->reduction.bytes, 2 * 30'000 * sizeof(double) * others);
  EXPECT_EQ(traffic->reduction.messages, 2 * others);
  c.broadcast(writable(values), 0).wait();
  EXPECT_EQ(traffic->broadcast.bytes, c.is_root() ? others * n * sizeof(double) : 0);
  EXPECT_EQ(traffic->bytes(), traffic->all_gather.bytes + traffic->reduction.bytes + traffic->broadcast.bytes);
}

/// Columns go some at a time, and wide ones in no more than sixteen exchanges.
void canonical_traffic_is_foretold(const Communicator& plain) {
  const auto ranks = static_cast<std::size_t>(plain.size()), rank = static_cast<std::size_t>(plain.rank());
  EXPECT_EQ(canonical_rounds(ranks, ranks, 1, sizeof(float)), 1U);
  EXPECT_EQ(canonical_rounds(ranks, ranks, 100'000'000, sizeof(float)), 16U);
  const std::size_t each = 300'000;
  std::vector<std::size_t> cuts{0};
  for (std::size_t r = 0; r < ranks; ++r) cuts.push_back(cuts.back() + each);
  const std::size_t rounds = canonical_rounds(ranks, ranks, each, sizeof(float));
  EXPECT_GT(rounds, 1U);
  const auto traffic = std::make_shared<Traffic>();
  const Communicator c = counted(plain, traffic);
  const std::vector<float> mine = terms<float>(c.rank(), cuts.back());
  std::vector<float> share(each);
  const std::span<const float> sum = mine;
  canonical_reduce_scatter(c, ranks, cuts, std::span(&sum, 1), share);
  EXPECT_EQ(traffic->messages(), rounds * (ranks - 1)) << rank;
  EXPECT_EQ(traffic->bytes(), (cuts.back() - each) * sizeof(float));
}

void wrong_use_is_refused(const Communicator& c) {
  std::vector<std::byte> data(8);
  std::vector<std::size_t> short_offsets(static_cast<std::size_t>(c.size()));
  EXPECT_THROW(c.send(data, c.size(), 0), Error);
  EXPECT_THROW(c.receive(data, -1, 0), Error);
  EXPECT_THROW(c.send(data, 0, -1), Error);
  EXPECT_THROW(c.broadcast(data, c.size()), Error);
  EXPECT_THROW(c.all_gather(data, std::span(data).first(3)), Error);
  EXPECT_THROW(c.all_to_all(data, short_offsets, data, short_offsets), Error);
  std::vector<float> none;
  EXPECT_THROW(canonical_all_reduce(c, 4096, 3, std::span<const float>(none), std::span(none)), Error);
  c.barrier();
}

}  // namespace

std::span<const CommunicatorCheck> communicator_checks() {
  static const std::vector<CommunicatorCheck> checks{
      {"barrier", barrier},
      {"broadcast", broadcast},
      {"send_and_receive", send_and_receive},
      {"messages_match_by_tag_and_order", messages_match_by_tag_and_order},
      {"waiting_is_no_work", waiting_is_no_work},
      {"all_gather", all_gather},
      {"all_to_all_uneven", all_to_all_uneven},
      {"all_reduce_in_rank_order", all_reduce_in_rank_order},
      {"all_reduce_keeps_nan", all_reduce_keeps_nan},
      {"many_operations_at_once", many_operations_at_once},
      {"a_sum_goes_on_while_its_rank_waits_for_something_else", a_sum_goes_on_while_its_rank_waits_for_something_else},
      {"gather_of_any_length", gather_of_any_length},
      {"split_by_colour_and_key", split_by_colour_and_key},
      {"agreement_on_errors", agreement_on_errors},
      {"canonical_sums", canonical_sums},
      {"reduce_scatter_in_rank_order", reduce_scatter_in_rank_order},
      {"uneven_gather", uneven_gather},
      {"canonical_shares", canonical_shares},
      {"canonical_nodes", canonical_nodes},
      {"canonical_columns_are_spent", canonical_columns_are_spent},
      {"traffic_equals_the_formulas", traffic_equals_the_formulas},
      {"canonical_traffic_is_foretold", canonical_traffic_is_foretold},
      {"wrong_use_is_refused", wrong_use_is_refused},
  };
  return checks;
}

}  // namespace zonda::parallel
