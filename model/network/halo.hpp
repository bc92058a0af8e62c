#pragma once
// Halo: the rows next to a slab of images or tokens, from the ranks that hold them.
#include <cstdint>
#include <vector>

#include "model/network/slab.hpp"
#include "model/ops/backend.hpp"
#include "parallel/communicator.hpp"
#include "parallel/layout/halo_exchange.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

/// Some rows of a slab, and the neighbours of the first and the last of them as far as the grid has any.
struct Band {
  std::int64_t first = 0;  ///< row of the wide tensor with which the band begins
  std::int64_t north = 0, rows = 0, south = 0;
  std::int64_t count() const { return north + rows + south; }
};

/// Images [B, C, H, W], or tokens [B H columns, D] row after row. A "wide" tensor has a row more on the sides where
/// another rank has one; where there is none anywhere, it is the tensor itself. Every method that takes a context is
/// collective, and in the planning pass takes its scratch and returns.
class Halo {
 public:
  enum class Sides { none, south, both };
  /// `rows` of each rank's slab, none 0. `columns` of tokens; 0 for images.
  Halo(const parallel::Communicator& slabs, const std::vector<std::size_t>& rows, Sides sides,
       std::int64_t columns = 0);

  bool none() const { return none_; }
  std::int64_t north() const { return static_cast<std::int64_t>(exchange_.north()); }
  std::int64_t south() const { return static_cast<std::int64_t>(exchange_.south()); }
  std::int64_t rows() const { return static_cast<std::int64_t>(own_.size()); }
  std::int64_t wide_rows() const { return north() + rows() + south(); }
  Shape wide(const Shape& slab) const;
  /// Of rows of the whole grid, all of them this rank's.
  Band band(parallel::Range rows) const;

  /// x with its halo.
  Tensor widened(Context& ctx, const Tensor& x) const;
  /// A wide tensor for what will be narrowed to x.
  Tensor take(Context& ctx, const Tensor& x) const { return none_ ? x : ctx.take(wide(x.shape), x.dtype); }
  /// Releases a tensor of widened() or take().
  void release(Context& ctx, Tensor& wide) const;
  /// x = the slab's rows of wide; and the other way round.
  void narrow(Context& ctx, const Tensor& wide, const Tensor& x) const;
  void place(Context& ctx, const Tensor& x, const Tensor& wide) const;
  /// The halo's rows once more, from what their ranks hold in `wide` now.
  void refresh(Context& ctx, const Tensor& wide) const;
  /// The adjoint of refresh(): what lies in the halo is added to the rows it belongs to.
  void add_back(Context& ctx, const Tensor& wide) const;
  /// Multiplies the rows that two ranks know of, with Sides::south: this rank's first and the halo.
  void scale_shared(Context& ctx, const Tensor& wide, double factor) const;

  /// What this rank sends in refresh() of a slab of that shape, and in add_back().
  parallel::HaloExchange::Traffic refresh_traffic(const Shape& slab, DType dtype) const;
  parallel::HaloExchange::Traffic add_back_traffic(const Shape& slab, DType dtype) const;

 private:
  /// The tensor, of that many rows, as [outer, rows, inner].
  Tensor by_rows(const Tensor& x, std::int64_t rows) const;
  parallel::Communicator slabs_;
  Sides sides_;
  bool none_;
  std::int64_t columns_;
  parallel::Range own_{0, 0};        // rows of the whole grid
  std::size_t all_ = 0;              // its number of rows
  parallel::HaloExchange exchange_;  // of the first and the last row of each slab
};

/// Of the row of grid points that neighbouring slabs' patches have in common, where kernels overlap; else none.
Halo shared_rows(const Slab& slab);

/// Rows [first, first + n) of `from` become rows of `to` from `at` on; both [outer, rows, inner].
void copy_rows(Context& ctx, const Tensor& from, std::int64_t first, std::int64_t n, const Tensor& to, std::int64_t at);

}  // namespace zonda::model
