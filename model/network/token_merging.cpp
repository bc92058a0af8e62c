#include "model/network/token_merging.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/error.hpp"
#include "core/vectorise.hpp"

namespace zonda::model {

namespace {

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// Row and column of what a token may be merged into.
struct Offset {
  int row, column;
};
constexpr Offset beside[] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}}, diagonal[] = {{-1, -1}, {-1, 1}, {1, -1}, {1, 1}};

ZONDA_CLONES float dot(const float* a, const float* b, std::int64_t n) {
  constexpr std::int64_t lanes = 16;
  float sums[lanes] = {};
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (std::int64_t l = 0; l < lanes; ++l) sums[l] += a[i + l] * b[i + l];
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  return std::accumulate(sums + 1, sums + lanes, sums[0]);
}

class Merging {
 public:
  Merging(const TokenGrid& grid, std::span<const float> x, std::int64_t width)
      : rows_(grid.patches.token_rows),
        columns_(grid.patches.token_columns),
        periodic_(grid.periodic && columns_ % 2 == 0),
        width_(width),
        x_(x),
        inverse_norm_(index(rows_ * columns_)),
        into_(index(rows_ * columns_)) {
    std::iota(into_.begin(), into_.end(), 0);
    for (std::int64_t t = 0; t < rows_ * columns_; ++t) remember_norm(t);
  }

  /// Merges up to `most` of the tokens for which chosen(row, column) is true into one of those at `offsets`.
  template <class Chosen>
  std::int64_t round(Chosen&& chosen, std::span<const Offset> offsets, std::int64_t most) {
    struct Pair {
      float similarity;
      std::int64_t from, to;
    };
    std::vector<Pair> pairs;
    for (std::int64_t i = 0; i < rows_; ++i)
      for (std::int64_t j = 0; j < columns_; ++j) {
        if (!chosen(i, j)) continue;
        Pair best{-2, i * columns_ + j, -1};
        for (const auto& [row, column] : offsets) {
          const std::int64_t r = i + row;
          std::int64_t c = j + column;
          if (periodic_) c = (c + columns_) % columns_;
          if (r < 0 || r >= rows_ || c < 0 || c >= columns_) continue;
          const float found = similarity(best.from, r * columns_ + c);
          if (best.to < 0 || found > best.similarity) best = {found, best.from, r * columns_ + c};
        }
        if (best.to >= 0) pairs.push_back(best);
      }
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](const Pair& a, const Pair& b) { return a.similarity > b.similarity; });
    const auto merged = std::min(most, static_cast<std::int64_t>(pairs.size()));
    for (std::int64_t p = 0; p < merged; ++p) into_[index(pairs[index(p)].from)] = pairs[index(p)].to;
    return merged;
  }

  /// Of the tokens at `offsets` from a token those for which chosen(token) is true; the rest is -1.
  template <class Chosen>
  std::array<std::int32_t, 4> around(std::int64_t token, std::span<const Offset> offsets, Chosen&& chosen) const {
    std::array<std::int32_t, 4> found{-1, -1, -1, -1};
    std::size_t count = 0;
    for (const auto& [row, column] : offsets) {
      const std::int64_t r = token / columns_ + row;
      std::int64_t c = token % columns_ + column;
      if (periodic_) c = (c + columns_) % columns_;
      if (r < 0 || r >= rows_ || c < 0 || c >= columns_) continue;
      if (chosen(r * columns_ + c)) found[count++] = static_cast<std::int32_t>(r * columns_ + c);
    }
    return found;
  }

  /// Token by token, the one that stands for it.
  std::vector<std::int64_t> ends() const {
    std::vector<std::int64_t> result(into_);
    for (std::int64_t& end : result)
      while (into_[index(end)] != end) end = into_[index(end)];
    return result;
  }

 private:
  void remember_norm(std::int64_t t) {
    const float *p = &x_[index(t * width_)], sum = dot(p, p, width_);
    inverse_norm_[index(t)] = sum > 0 ? 1 / std::sqrt(sum) : 0;
  }
  float similarity(std::int64_t a, std::int64_t b) const {
    const float *p = &x_[index(a * width_)], *q = &x_[index(b * width_)];
    const float found = dot(p, q, width_) * inverse_norm_[index(a)] * inverse_norm_[index(b)];
    return std::isnan(found) ? -1 : found;
  }
  std::int64_t rows_, columns_;
  bool periodic_;  // where the chequerboard closes around the globe
  std::int64_t width_;
  std::span<const float> x_;
  std::vector<float> inverse_norm_;
  std::vector<std::int64_t> into_;
};

}  // namespace

std::int64_t fewest_groups(const TokenGrid& grid) {
  return ((grid.patches.token_rows + 1) / 2) * ((grid.patches.token_columns + 1) / 2);
}

TokenGroups merge_neighbours(const TokenGrid& grid, std::span<const float> x, std::int64_t width, std::int64_t groups) {
  const std::int64_t tokens = grid.count();
  if (groups < fewest_groups(grid) || groups > tokens)
    fail(ErrorKind::usage, "network: {} tokens cannot be merged into {}; {} to {} are possible", tokens, groups,
         fewest_groups(grid), tokens);
  Merging merging(grid, x, width);
  std::int64_t left = tokens - groups;
  left -= merging.round([](auto i, auto j) { return (i + j) % 2 == 1; }, beside, left);
  if (left > 0) left -= merging.round([](auto i, auto j) { return i % 2 == 1 && j % 2 == 1; }, diagonal, left);
  if (left > 0) fail(ErrorKind::failure, "network: {} tokens found no neighbour to be merged into", left);

  const std::vector<std::int64_t> ends = merging.ends();
  TokenGroups result;
  std::vector<std::int32_t> group(index(tokens), -1);
  for (std::int64_t t = 0; t < tokens; ++t)
    if (ends[index(t)] == t) {
      group[index(t)] = static_cast<std::int32_t>(result.survivors.size());
      result.survivors.push_back(static_cast<std::int32_t>(t));
    } else {
      result.given_up.push_back(static_cast<std::int32_t>(t));
    }
  result.sizes.assign(result.survivors.size(), 0);
  for (const std::int64_t end : ends) {
    result.of_token.push_back(group[index(end)]);
    ++result.sizes[index(group[index(end)])];
  }
  const auto stands = [&](std::int64_t t) { return group[index(t)] >= 0; };
  for (std::int64_t t = 0; t < tokens; ++t) {
    std::array<std::int32_t, 4> from{static_cast<std::int32_t>(t), -1, -1, -1};
    if (!stands(t)) {
      from = merging.around(t, beside, stands);
      if (from[0] < 0) from = merging.around(t, diagonal, stands);
      if (from[0] < 0) from[0] = static_cast<std::int32_t>(ends[index(t)]);
    }
    for (std::int32_t& survivor : from)
      if (survivor >= 0) survivor = group[index(survivor)];
    result.taken_from.push_back(from);
  }
  return result;
}

namespace {

/// Calls use(group, share) for all groups that a token's change comes from.
template <class Use>
void for_shares_of(const TokenGroups& groups, std::size_t token, Use&& use) {
  const auto& from = groups.taken_from[token];
  const auto count = std::find(from.begin(), from.end(), -1) - from.begin();
  for (std::ptrdiff_t i = 0; i < count; ++i) use(index(from[index(i)]), 1.0F / static_cast<float>(count));
}

/// The same for all tokens, use(token, group, share).
template <class Use>
void for_shares(const TokenGroups& groups, Use&& use) {
  for (std::size_t t = 0; t < groups.taken_from.size(); ++t)
    for_shares_of(groups, t, [&](std::size_t g, float share) { use(t, g, share); });
}

}  // namespace

template <class T>
void gather_survivors(const TokenGroups& groups, std::span<const T> x, std::int64_t width, std::span<T> survivors) {
  const std::size_t n = index(width);
  for (std::size_t g = 0; g < groups.survivors.size(); ++g)
    std::copy_n(&x[index(groups.survivors[g]) * n], n, &survivors[g * n]);
}

template <class T>
void add_survivors(const TokenGroups& groups, std::span<const T> survivors, std::int64_t width, std::span<T> x) {
  const std::size_t n = index(width);
  for (std::size_t g = 0; g < groups.survivors.size(); ++g)
    for (std::size_t d = 0; d < n; ++d) x[index(groups.survivors[g]) * n + d] += survivors[g * n + d];
}

template <class T>
void spread_changes(const TokenGroups& groups, std::span<const T> before, std::span<const T> after, std::int64_t width,
                    std::span<T> x) {
  const std::size_t n = index(width);
  for_shares(groups, [&](std::size_t t, std::size_t g, float share) {
    for (std::size_t d = 0; d < n; ++d) x[t * n + d] += T(share) * (after[g * n + d] - before[g * n + d]);
  });
}

template <class T>
void collect_changes(const TokenGroups& groups, std::span<const T> x, std::int64_t width, std::span<T> changes) {
  const std::size_t n = index(width);
  std::fill(changes.begin(), changes.end(), T(0));
  for_shares(groups, [&](std::size_t t, std::size_t g, float share) {
    for (std::size_t d = 0; d < n; ++d) changes[g * n + d] += T(share) * x[t * n + d];
  });
}

template <class T>
void gather_departures(const TokenGroups& groups, std::span<const T> x, std::span<const T> survivors,
                       std::int64_t width, std::span<T> departures) {
  const std::size_t n = index(width);
  for (std::size_t i = 0; i < groups.given_up.size(); ++i) {
    const std::size_t t = index(groups.given_up[i]);
    std::copy_n(&x[t * n], n, &departures[i * n]);
    for_shares_of(groups, t, [&](std::size_t g, float share) {
      for (std::size_t d = 0; d < n; ++d) departures[i * n + d] -= T(share) * survivors[g * n + d];
    });
  }
}

template <class T>
void add_departures(const TokenGroups& groups, std::span<const T> departures, std::int64_t width, std::span<T> x,
                    std::span<T> survivors) {
  const std::size_t n = index(width);
  add_given_up<T>(groups, departures, width, x);
  for (std::size_t i = 0; i < groups.given_up.size(); ++i)
    for_shares_of(groups, index(groups.given_up[i]), [&](std::size_t g, float share) {
      for (std::size_t d = 0; d < n; ++d) survivors[g * n + d] -= T(share) * departures[i * n + d];
    });
}

template <class T>
void gather_given_up(const TokenGroups& groups, std::span<const T> x, std::int64_t width, std::span<T> given_up) {
  const std::size_t n = index(width);
  for (std::size_t i = 0; i < groups.given_up.size(); ++i)
    std::copy_n(&x[index(groups.given_up[i]) * n], n, &given_up[i * n]);
}

template <class T>
void add_given_up(const TokenGroups& groups, std::span<const T> given_up, std::int64_t width, std::span<T> x) {
  const std::size_t n = index(width);
  for (std::size_t i = 0; i < groups.given_up.size(); ++i)
    for (std::size_t d = 0; d < n; ++d) x[index(groups.given_up[i]) * n + d] += given_up[i * n + d];
}

#define ZONDA_MERGING_OF(T)                                                                                       \
  template void gather_survivors(const TokenGroups&, std::span<const T>, std::int64_t, std::span<T>);             \
  template void add_survivors(const TokenGroups&, std::span<const T>, std::int64_t, std::span<T>);                \
  template void spread_changes(const TokenGroups&, std::span<const T>, std::span<const T>, std::int64_t,          \
                               std::span<T>);                                                                     \
  template void collect_changes(const TokenGroups&, std::span<const T>, std::int64_t, std::span<T>);              \
  template void gather_departures(const TokenGroups&, std::span<const T>, std::span<const T>, std::int64_t,       \
                                  std::span<T>);                                                                  \
  template void add_departures(const TokenGroups&, std::span<const T>, std::int64_t, std::span<T>, std::span<T>); \
  template void gather_given_up(const TokenGroups&, std::span<const T>, std::int64_t, std::span<T>);              \
  template void add_given_up(const TokenGroups&, std::span<const T>, std::int64_t, std::span<T>);
ZONDA_MERGING_OF(float)
ZONDA_MERGING_OF(double)
#undef ZONDA_MERGING_OF

MergedSequences::MergedSequences(SequenceDraft draft, std::int64_t groups, DType dtype)
    : draft_(std::move(draft)), place_(draft_.tokens.size()) {
  for (const double phase : draft_.phases) {
    cosine_.push_back(std::cos(phase));
    sine_.push_back(std::sin(phase));
  }
  const auto pairs = static_cast<std::int64_t>(draft_.pairs);
  const auto room = [&](Buffer& kept) {
    kept = Buffer(index(groups * pairs) * size_of(dtype));
    return Tensor(kept.data(), {groups, pairs}, dtype);
  };
  table_.cosine = room(kept_cosine_);
  table_.sine = room(kept_sine_);
  table_.tokens.resize(index(groups));
  std::iota(table_.tokens.begin(), table_.tokens.end(), 0);
  table_.offsets.assign(draft_.sequences() + 1, static_cast<std::int32_t>(groups));
  table_.offsets.front() = 0;
  for (std::size_t s = 0; s < draft_.sequences(); ++s)
    table_.longest = std::max(table_.longest, draft_.offsets[s + 1] - draft_.offsets[s]);
  table_.longest = std::min(table_.longest, static_cast<std::int32_t>(groups));
  table_.id = IndexTable::next_id();
}

template <class T>
void MergedSequences::keep_rotation(std::size_t from, std::size_t to) {
  const std::size_t pairs = draft_.pairs;
  const std::span<T> cosine = table_.cosine.span<T>(), sine = table_.sine.span<T>();
  for (std::size_t p = 0; p < pairs; ++p) {
    cosine[to * pairs + p] = static_cast<T>(cosine_[from * pairs + p]);
    sine[to * pairs + p] = static_cast<T>(sine_[from * pairs + p]);
  }
}

void MergedSequences::restrict_to(const TokenGroups& groups) {
  std::fill(place_.begin(), place_.end(), -1);
  for (std::size_t g = 0; g < groups.survivors.size(); ++g)
    place_[index(groups.survivors[g])] = static_cast<std::int32_t>(g);
  table_.offsets = {0};
  table_.tokens.clear();
  const bool f64 = table_.cosine.dtype == DType::f64;
  for (std::size_t s = 0; s < draft_.sequences(); ++s) {
    for (std::size_t i = index(draft_.offsets[s]); i < index(draft_.offsets[s + 1]); ++i) {
      const std::int32_t place = place_[index(draft_.tokens[i])];
      if (place < 0) continue;
      const std::size_t entry = table_.tokens.size();
      f64 ? keep_rotation<double>(i, entry) : keep_rotation<float>(i, entry);
      table_.tokens.push_back(place);
    }
    table_.offsets.push_back(static_cast<std::int32_t>(table_.tokens.size()));
  }
  table_.id = IndexTable::next_id();
}

}  // namespace zonda::model
