#pragma once
// Rows beyond the edges of a slab of latitude, from the ranks that hold them.
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "parallel/communicator.hpp"
#include "parallel/partition.hpp"

namespace zonda::parallel {

/// Slabs of rows of a field [outer, rows, inner] (channels, latitudes, longitude points times whatever lies within),
/// rank r's below rank r - 1's. Latitude ends at the poles: the first slab has nothing to its north, the last nothing
/// to its south. A halo may be wider than a slab: rows then come from every rank that holds some of them, directly.
class HaloExchange {
 public:
  /// `rows`: of each rank's slab, 0 allowed. `width`: rows of halo on either side.
  HaloExchange(const Communicator& slabs, std::vector<std::size_t> rows, std::size_t width)
      : HaloExchange(slabs, std::move(rows), width, width) {}
  /// Other widths on the north and the south side.
  HaloExchange(const Communicator& slabs, std::vector<std::size_t> rows, std::size_t north, std::size_t south);

  /// Rows of this rank's slab, and rows it gets from the north and the south of it.
  std::size_t rows() const { return own_.size(); }
  std::size_t north() const { return own_.begin - extended_.begin; }
  std::size_t south() const { return extended_.end - own_.end; }
  /// Of the slab with its halo.
  std::size_t extended_rows() const { return extended_.size(); }

  /// `slab` [outer, rows(), inner] -> `extended` [outer, extended_rows(), inner]. Both must live until the event ends;
  /// the inner rows of `extended` are there at once, the halo when it has ended.
  Event exchange(std::size_t outer, std::size_t inner, std::span<const float> slab, std::span<float> extended) const;
  Event exchange(std::size_t outer, std::size_t inner, std::span<const double> slab, std::span<double> extended) const;

  /// The adjoint: every row of `extended`, halo too, is added to the row it was copied from; `slab` gets this rank's
  /// own rows, then the other ranks' contributions in rank order.
  Event adjoint(std::size_t outer, std::size_t inner, std::span<const float> extended, std::span<float> slab) const;
  Event adjoint(std::size_t outer, std::size_t inner, std::span<const double> extended, std::span<double> slab) const;

  /// What this rank sends to others in an exchange, or in its adjoint, for numbers of `width` bytes.
  struct Traffic {
    std::uint64_t messages = 0, bytes = 0;
    Traffic& operator+=(const Traffic& other) {
      messages += other.messages;
      bytes += other.bytes;
      return *this;
    }
  };
  Traffic exchange_traffic(std::size_t outer, std::size_t inner, std::size_t width) const;
  Traffic adjoint_traffic(std::size_t outer, std::size_t inner, std::size_t width) const;

 private:
  /// Rows of the whole field that travel between this rank and another in an exchange.
  struct Part {
    int rank;
    Range rows;
  };
  template <class T>
  Event run_exchange(std::size_t outer, std::size_t inner, std::span<const T> slab, std::span<T> extended) const;
  template <class T>
  Event run_adjoint(std::size_t outer, std::size_t inner, std::span<const T> extended, std::span<T> slab) const;
  Event run(std::size_t row_bytes, const std::vector<Part>& to, std::span<const std::byte> outgoing,
            const std::vector<Part>& from, std::span<std::byte> incoming) const;

  Communicator slabs_;
  Range own_, extended_;          // rows of the whole field
  std::vector<Part> give_, get_;  // in rank order
};

}  // namespace zonda::parallel
