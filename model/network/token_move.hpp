#pragma once
// Tokens on their way from one layer's order to the next one's, over the ranks of a slab.
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/network/token_order.hpp"
#include "model/ops/backend.hpp"
#include "parallel/communicator.hpp"

namespace zonda::model {

/// How rows travel in TokenMove::forward(): in portions, of which the first are worked on while the last are on their
/// way.
enum class Dispatch {
  at_once,
  by_halves,   ///< of the sequences: from the first; from the second to the first; to the second
  by_samples,  ///< the first half of the samples, and the others
};

/// Takes the rows of tokens from one order to another, over the ranks of a slab.
class TokenMove {
 public:
  enum class Way { forward, backward };  ///< `backward` is the adjoint, and inverse
  static constexpr std::size_t most_portions = 3;
  /// Rows under way. `moved` has its shape and memory from the beginning.
  struct Passage {
    const TokenMove* move = nullptr;
    Way way = Way::forward;
    Dispatch dispatch = Dispatch::at_once;
    std::int64_t samples = 0;
    std::size_t sent = 0, arrived = 0;  // portions
    Tensor moved, leaving, arriving;
    std::vector<std::byte> moved_host, arriving_host;  // of a device
    std::array<parallel::Event, most_portions> arrivals;
    bool under_way() const { return move != nullptr; }
    /// Carries on what is on its way; never blocks.
    void look();
  };

  TokenMove(const TokenOrder& from, const TokenOrder& to, const Slab& slab);
  /// A move in three steps, so that work goes on meanwhile; collective, in the order of their sending. begin() takes
  /// memory.
  Passage begin(Context& ctx, std::int64_t samples, Way way, const Tensor& rows,
                Dispatch dispatch = Dispatch::at_once) const;
  /// rows [samples n, D]: those of the first `portions` are there, and go. Of a device it waits for all of them, in
  /// keep().
  void send(Context& ctx, Passage& passage, const Tensor& rows, std::size_t portions = most_portions) const;
  /// All rows are there: those that stay find their place. `rows` are released; what has not been sent is.
  void keep(Context& ctx, Passage& passage, Tensor& rows) const;
  /// The first `portions` have arrived, and their rows of passage.moved are there, as those that stayed are. When all
  /// have, the passage is over.
  static void finish(Context& ctx, Passage& passage, std::size_t portions = most_portions);

  /// All at once: rows [samples n, D], in the arena, are released and replaced; left alone where the orders are the
  /// same. Collective.
  void forward(Context& ctx, std::int64_t samples, Tensor& rows) const { move(ctx, samples, Way::forward, rows); }
  void backward(Context& ctx, std::int64_t samples, Tensor& rows) const { move(ctx, samples, Way::backward, rows); }
  bool nothing() const { return nothing_; }
  /// Whether more than a third of all rows change their rank.
  bool is_thorough() const { return thorough_; }
  /// Whether each rank's halves, of sequences or of several samples, are large enough to be worked on alone; the same
  /// on all ranks.
  bool has_room_for(Dispatch dispatch) const;
  std::size_t portions(Dispatch dispatch) const;
  /// Of a sample's rows of forward(): in which portion they go to other ranks, or come from them; -1: they stay. Not by
  /// samples.
  std::vector<int> portions_leaving(Dispatch dispatch) const { return portions_of(dispatch, &Portion::out, out_); }
  std::vector<int> portions_arriving(Dispatch dispatch) const { return portions_of(dispatch, &Portion::in, in_); }
  /// Rows of a sample that this rank sends away in forward(), and messages to other ranks; in backward(), which goes at
  /// once, it sends those that it received.
  std::int64_t rows_sent() const { return away(out_); }
  std::int64_t rows_received() const { return away(in_); }
  std::int64_t messages_sent(Dispatch dispatch = Dispatch::at_once) const;
  std::int64_t messages_received() const { return messages(in_); }
  std::size_t bytes() const;

 private:
  /// One side: this rank's rows, in the order in which they travel, rank by rank.
  struct Side {
    std::vector<std::int32_t> rows;
    std::vector<std::int64_t> begin;  // [ranks + 1]
    std::int64_t count() const { return begin.back(); }
    std::span<const std::int32_t> of(std::size_t rank) const {
      return std::span(rows).subspan(static_cast<std::size_t>(begin[rank]),
                                     static_cast<std::size_t>(begin[rank + 1] - begin[rank]));
    }
  };
  struct Portion {
    Side out, in;
  };
  const Side& out(Way way) const { return way == Way::forward ? out_ : in_; }
  const Side& in(Way way) const { return way == Way::forward ? in_ : out_; }
  /// One portion of a passage: rows of samples [first, end).
  struct Load {
    const Side &out, &in;
    std::int64_t first, end;
  };
  Load load(const Passage& passage, std::size_t portion) const;
  std::int64_t away(const Side& side) const;
  std::int64_t messages(const Side& side) const;
  std::vector<int> portions_of(Dispatch dispatch, Side Portion::*which, const Side& whole) const;
  void cut_into_halves(const TokenOrder& from, const TokenOrder& to);
  void post(Passage& passage, const std::byte* rows, std::size_t width, std::byte* leaving, std::byte* arriving) const;
  void place(Passage& passage, std::size_t width, const std::byte* arriving, std::byte* moved) const;
  void move(Context& ctx, std::int64_t samples, Way way, Tensor& rows) const;

  parallel::Communicator ranks_;
  bool nothing_, thorough_ = false;
  bool room_for_halves_ = false, room_for_samples_ = false;
  Side out_, in_;
  std::vector<Portion> halves_;
  IndexTable alone_, back_;  // of one rank
};

}  // namespace zonda::model
