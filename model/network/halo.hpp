#pragma once
// Halo: the rows next to a slab of images or tokens, from the ranks that hold them.
#include <cstdint>
#include <functional>
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

/// Rows [first, first + n) of `from` become rows of `to` from `at` on; both [outer, rows, inner].
void copy_rows(Context& ctx, const Tensor& from, std::int64_t first, std::int64_t n, const Tensor& to, std::int64_t at);

/// Is told when work begins and ends that goes on while rows travel.
using WorkWatch = std::function<void(const char* what, bool begins)>;

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

  /// Rows on their way into a wide tensor.
  struct Arrival {
    Tensor wide, edges, extended;
    parallel::Event event;
    bool under_way() const { return !wide.none(); }
    /// Carries on what is on its way; never blocks.
    void look() {
      if (under_way()) event.test();
    }
  };
  /// As widened() and refresh() in two steps: the rows at the slab's edge leave, and those beside them stand in for the
  /// halo's until finish().
  Tensor placed(Context& ctx, const Tensor& x) const;
  Arrival begin(Context& ctx, const Tensor& wide) const;
  void finish(Context& ctx, Arrival& arrival) const;
  /// Calls map(in, out, rows) for out = f(in) of wide tensors, each of whose rows follows from the rows of `in` above,
  /// at and below it, alike in every tensor: of the slab while the rows of `coming` travel into `in`, and then, of
  /// three rows at each edge, for the row between them. The halo's rows of `out` mean nothing.
  template <class Map>
  void map_meanwhile(Context& ctx, Arrival& coming, const Tensor& in, const Tensor& out, const char* what,
                     const WorkWatch& watch, Map&& map) const;

  /// The adjoint of refresh(): what lies in the halo is added to the rows it belongs to.
  void add_back(Context& ctx, const Tensor& wide) const;
  /// Multiplies the rows that two ranks know of, with Sides::south: this rank's first and the halo.
  void scale_shared(Context& ctx, const Tensor& wide, double factor) const;

  /// What this rank sends in refresh() of a slab of that shape, and in add_back().
  parallel::HaloExchange::Traffic refresh_traffic(const Shape& slab, DType dtype) const;
  parallel::HaloExchange::Traffic add_back_traffic(const Shape& slab, DType dtype) const;

 private:
  /// Whether there is enough to do inside to be worth working on the edges once more.
  bool has_inside(const Tensor& x) const { return !none_ && x.device == Device::cpu && rows() >= fewest_rows; }
  static constexpr std::int64_t fewest_rows = 16;
  Shape shape_of_rows(const Tensor& wide, std::int64_t n) const;
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

template <class Map>
void Halo::map_meanwhile(Context& ctx, Arrival& coming, const Tensor& in, const Tensor& out, const char* what,
                         const WorkWatch& watch, Map&& map) const {
  const bool inside = has_inside(in);
  if (!inside) finish(ctx, coming);
  if (watch) watch(what, true);
  map(in, out, wide_rows());
  if (watch) watch(what, false);
  if (!inside) return;
  finish(ctx, coming);
  constexpr std::int64_t around = 3;
  Tensor from = ctx.take(shape_of_rows(in, around), in.dtype), to = ctx.take(shape_of_rows(out, around), out.dtype);
  const auto at_edge = [&](std::int64_t row) {
    copy_rows(ctx, by_rows(in, wide_rows()), row - 1, around, by_rows(from, around), 0);
    map(from, to, around);
    copy_rows(ctx, by_rows(to, around), 1, 1, by_rows(out, wide_rows()), row);
  };
  if (north() > 0) at_edge(north());
  if (south() > 0) at_edge(north() + rows() - 1);
  ctx.release(from, to);
}

}  // namespace zonda::model
