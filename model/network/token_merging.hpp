#pragma once
// Token merging: blocks in the middle of the trunk see fewer tokens (after ToMe: Bolya et al. 2023). Of neighbouring
// tokens of those most alike one stands for the others; afterwards these take what lies between the changes of those
// around them. A token as it is serves better than a mean: the network has seen such.
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "model/network/sequences.hpp"
#include "model/network/token_grid.hpp"
#include "model/tensor/buffer.hpp"

namespace zonda::model {

/// Blocks [first, last) see `tokens` of the sample's.
struct TokenMerging {
  int first = 0, last = 0;
  std::int64_t tokens = 0;
  friend bool operator==(const TokenMerging&, const TokenMerging&) = default;
};

/// Name of the matrix by which a network answers to the departures of merged tokens.
inline constexpr const char* merged_response_name = "conditioning.merged_response";

/// Which token stands for which.
struct TokenGroups {
  std::vector<std::int32_t> of_token;   ///< [tokens] its group
  std::vector<std::int32_t> survivors;  ///< [groups] the token that stands for it, ascending
  std::vector<std::int32_t> given_up;   ///< [tokens - groups] the others, ascending
  std::vector<std::int32_t> sizes;      ///< [groups]
  /// [tokens] the groups whose changes a token takes the mean of: its own if it stands for it, else those that
  /// survivors beside it stand for, at its corners where none is beside it, its own where there is none at all; filled
  /// up with -1.
  std::vector<std::array<std::int32_t, 4>> taken_from;
};

/// The fewest groups that tokens on this grid can be merged into: a quarter.
std::int64_t fewest_groups(const TokenGrid& grid);

/// Merges the tokens x [tokens, width] into `groups`: first those of one colour of a chequerboard into the most similar
/// of the four beside them (cosine), the most similar pairs first; then, if need be, every other one of the rest alike.
/// The same x gives the same groups. Throws Error(usage) for a number of groups that cannot be.
TokenGroups merge_neighbours(const TokenGrid& grid, std::span<const float> x, std::int64_t width, std::int64_t groups);

/// The tokens that stand for their groups: x [tokens, width] -> survivors [groups, width]. Of float or double, as all
/// of these.
template <class T>
void gather_survivors(const TokenGroups& groups, std::span<const T> x, std::int64_t width, std::span<T> survivors);
/// Its adjoint: x += survivors at their places.
template <class T>
void add_survivors(const TokenGroups& groups, std::span<const T> survivors, std::int64_t width, std::span<T> x);
/// x += the mean of (after - before) over the groups that each token takes its change from.
template <class T>
void spread_changes(const TokenGroups& groups, std::span<const T> before, std::span<const T> after, std::int64_t width,
                    std::span<T> x);
/// The adjoint of the spreading: changes [groups, width] = the shares of x that each group's change went into.
template <class T>
void collect_changes(const TokenGroups& groups, std::span<const T> x, std::int64_t width, std::span<T> changes);

/// How tokens given up depart from those that they take their change from: x less the mean of survivors [groups, width]
/// -> departures [tokens - groups, width].
template <class T>
void gather_departures(const TokenGroups& groups, std::span<const T> x, std::span<const T> survivors,
                       std::int64_t width, std::span<T> departures);
/// Its adjoint: x and survivors take their parts of `departures`.
template <class T>
void add_departures(const TokenGroups& groups, std::span<const T> departures, std::int64_t width, std::span<T> x,
                    std::span<T> survivors);
/// The tokens given up: x [tokens, width] -> given_up [tokens - groups, width].
template <class T>
void gather_given_up(const TokenGroups& groups, std::span<const T> x, std::int64_t width, std::span<T> given_up);
/// Its adjoint: x += given_up at their places.
template <class T>
void add_given_up(const TokenGroups& groups, std::span<const T> given_up, std::int64_t width, std::span<T> x);

/// The sequences of a draft restricted to survivors, which are numbered in their order; some may be empty. Tables of
/// one draft and number of groups ask operations for the same scratch.
class MergedSequences {
 public:
  /// Room for `groups` tokens, with rotations in `dtype`.
  MergedSequences(SequenceDraft draft, std::int64_t groups, DType dtype);
  /// Before the first call a table of the right sizes, to plan with.
  void restrict_to(const TokenGroups& groups);
  const SequenceTable& table() const { return table_; }

 private:
  template <class T>
  void keep_rotation(std::size_t from, std::size_t to);

  SequenceDraft draft_;
  std::vector<double> cosine_, sine_;  // [tokens, pairs] of the draft
  Buffer kept_cosine_, kept_sine_;     // [groups, pairs]
  std::vector<std::int32_t> place_;    // [tokens] in the order of survivors, or -1
  SequenceTable table_;
};

}  // namespace zonda::model
