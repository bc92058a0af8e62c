#pragma once
// Tokens on their way from one layer's order to the next one's, over the ranks of a slab.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/network/token_order.hpp"
#include "model/ops/backend.hpp"
#include "parallel/communicator.hpp"

namespace zonda::model {

/// Takes the rows of tokens from one order to another, over the ranks of a slab.
class TokenMove {
 public:
  enum class Way { forward, backward };  ///< `backward` is the adjoint, and inverse
  /// Rows under way. `moved` has its shape and memory from the beginning.
  struct Passage {
    const TokenMove* move = nullptr;
    Way way = Way::forward;
    std::int64_t samples = 0;
    bool sent = false;
    Tensor moved, leaving, arriving;
    std::vector<std::byte> moved_host, arriving_host;  // of a device
    parallel::Event arrival;
    bool under_way() const { return move != nullptr; }
  };

  TokenMove(const TokenOrder& from, const TokenOrder& to, const Slab& slab);
  /// A move in three steps, so that work goes on meanwhile; collective, in the order of their sending. begin() takes
  /// memory.
  Passage begin(Context& ctx, std::int64_t samples, Way way, const Tensor& rows) const;
  /// rows [samples n, D]: those that leave are there, and go. Of a device it waits for all of them, in keep().
  void send(Context& ctx, Passage& passage, const Tensor& rows) const;
  /// All rows are there: those that stay find their place. `rows` are released; what has not been sent is.
  void keep(Context& ctx, Passage& passage, Tensor& rows) const;
  /// The others have arrived: passage.moved is complete, and the passage over.
  static void finish(Context& ctx, Passage& passage);

  /// All at once: rows [samples n, D], in the arena, are released and replaced; left alone where the orders are the
  /// same. Collective.
  void forward(Context& ctx, std::int64_t samples, Tensor& rows) const { move(ctx, samples, Way::forward, rows); }
  void backward(Context& ctx, std::int64_t samples, Tensor& rows) const { move(ctx, samples, Way::backward, rows); }
  bool nothing() const { return nothing_; }
  /// Of a sample's rows of forward(): which go to other ranks, and which come from them.
  std::vector<bool> rows_leaving() const { return rows_of_others(out_); }
  std::vector<bool> rows_arriving() const { return rows_of_others(in_); }
  /// Rows of a sample that this rank sends away in forward(), and ranks it sends them to; in backward() it sends those
  /// that it received.
  std::int64_t rows_sent() const { return away(out_); }
  std::int64_t rows_received() const { return away(in_); }
  std::int64_t messages_sent() const { return messages(out_); }
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
  const Side& out(Way way) const { return way == Way::forward ? out_ : in_; }
  const Side& in(Way way) const { return way == Way::forward ? in_ : out_; }
  std::int64_t away(const Side& side) const;
  std::int64_t messages(const Side& side) const;
  std::vector<bool> rows_of_others(const Side& side) const;
  void post(Passage& passage, const std::byte* rows, std::size_t width, std::byte* leaving, std::byte* arriving) const;
  void move(Context& ctx, std::int64_t samples, Way way, Tensor& rows) const;

  parallel::Communicator ranks_;
  bool nothing_;
  Side out_, in_;
  IndexTable alone_, back_;  // of one rank
};

}  // namespace zonda::model
