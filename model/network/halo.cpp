#include "model/network/halo.hpp"

#include "core/error.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t kEdges = 2;  // rows of a slab that travel: its first and its last, which may be the same

/// `move(from, to)`, which begins an exchange, on spans of the host; of a device it is over then.
template <class T, class Move>
parallel::Event on_host(Memory& memory, const Tensor& from, const Tensor& to, Move&& move) {
  if (from.device == Device::cpu) return move(std::span<const T>(from.span<T>()), to.span<T>());
  std::vector<T> sent(static_cast<std::size_t>(from.count())), received(static_cast<std::size_t>(to.count()));
  memory.copy_out(sent.data(), from.data, from.bytes());
  move(std::span<const T>(sent), std::span(received)).wait();
  memory.copy_in(to.data, received.data(), to.bytes());
  return {};
}

template <class Move>
parallel::Event on_host(Context& ctx, const Tensor& from, const Tensor& to, Move&& move) {
  if (from.dtype == DType::f64) return on_host<double>(ctx->memory(), from, to, move);
  if (from.dtype == DType::f32) return on_host<float>(ctx->memory(), from, to, move);
  fail(ErrorKind::failure, "halo: rows of {}", name_of(from.dtype));
}

}  // namespace

Halo::Halo(const parallel::Communicator& slabs, const std::vector<std::size_t>& rows, Sides sides, std::int64_t columns)
    : slabs_(slabs),
      sides_(slabs.size() > 1 ? sides : Sides::none),
      none_(sides_ == Sides::none),
      columns_(columns),
      exchange_(slabs, std::vector<std::size_t>(static_cast<std::size_t>(slabs.size()), kEdges),
                sides_ == Sides::both ? 1 : 0, none_ ? 0 : 1) {
  if (rows.size() != static_cast<std::size_t>(slabs.size()))
    fail(ErrorKind::failure, "halo: {} slabs for {} ranks", rows.size(), slabs.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (rows[r] == 0) fail(ErrorKind::failure, "halo: rank {} has no rows", r);
    if (r == static_cast<std::size_t>(slabs.rank())) own_ = {all_, all_ + rows[r]};
    all_ += rows[r];
  }
}

Tensor Halo::by_rows(const Tensor& x, std::int64_t rows) const {
  if (columns_ == 0) return x.reshaped({x.shape[0] * x.shape[1], rows, x.shape[3]});
  return x.reshaped({x.shape[0] / (rows * columns_), rows, columns_ * x.shape[1]});
}

Shape Halo::wide(const Shape& slab) const {
  if (columns_ == 0) return {slab[0], slab[1], wide_rows(), slab[3]};
  return {slab[0] / rows() * wide_rows(), slab[1]};
}

Band Halo::band(parallel::Range rows) const {
  Band band;
  band.north = rows.begin > 0 ? 1 : 0;
  band.rows = static_cast<std::int64_t>(rows.size());
  band.south = rows.end < all_ ? 1 : 0;
  band.first = static_cast<std::int64_t>(rows.begin - own_.begin) + north() - band.north;
  return band;
}

Shape Halo::shape_of_rows(const Tensor& wide, std::int64_t n) const {
  if (columns_ == 0) return {wide.shape[0], wide.shape[1], n, wide.shape[3]};
  return {wide.shape[0] / wide_rows() * n, wide.shape[1]};
}

Tensor Halo::placed(Context& ctx, const Tensor& x) const {
  const Tensor wide = take(ctx, x);
  place(ctx, x, wide);
  return wide;
}

Tensor Halo::widened(Context& ctx, const Tensor& x) const {
  const Tensor wide = placed(ctx, x);
  refresh(ctx, wide);
  return wide;
}

void Halo::release(Context& ctx, Tensor& wide) const {
  if (none_)
    wide = Tensor{};
  else
    ctx.release(wide);
}

void Halo::narrow(Context& ctx, const Tensor& wide, const Tensor& x) const {
  if (!none_) copy_rows(ctx, by_rows(wide, wide_rows()), north(), rows(), by_rows(x, rows()), 0);
}

void Halo::place(Context& ctx, const Tensor& x, const Tensor& wide) const {
  if (!none_) copy_rows(ctx, by_rows(x, rows()), 0, rows(), by_rows(wide, wide_rows()), north());
}

Halo::Arrival Halo::begin(Context& ctx, const Tensor& wide) const {
  Arrival coming;
  if (none_) return coming;
  const Tensor whole = by_rows(wide, wide_rows());
  const std::int64_t outer = whole.shape[0], inner = whole.shape[2];
  coming.wide = wide;
  coming.edges = ctx.take({outer, kEdges, inner}, wide.dtype);
  coming.extended = ctx.take({outer, north() + kEdges + south(), inner}, wide.dtype);
  copy_rows(ctx, whole, north(), 1, coming.edges, 0);
  copy_rows(ctx, whole, north() + rows() - 1, 1, coming.edges, 1);
  if (!ctx.planning())
    coming.event = on_host(ctx, coming.edges, coming.extended, [&](auto slab, auto with_halo) {
      return exchange_.exchange(static_cast<std::size_t>(outer), static_cast<std::size_t>(inner), slab, with_halo);
    });
  copy_rows(ctx, coming.edges, 0, north(), whole, 0);
  copy_rows(ctx, coming.edges, 1, south(), whole, north() + rows());
  return coming;
}

void Halo::finish(Context& ctx, Arrival& coming) const {
  if (!coming.under_way()) return;
  if (!ctx.planning()) coming.event.wait();
  const Tensor whole = by_rows(coming.wide, wide_rows());
  copy_rows(ctx, coming.extended, 0, north(), whole, 0);
  copy_rows(ctx, coming.extended, north() + kEdges, south(), whole, north() + rows());
  ctx.release(coming.edges, coming.extended);
  coming = {};
}

void Halo::refresh(Context& ctx, const Tensor& wide) const {
  Arrival coming = begin(ctx, wide);
  finish(ctx, coming);
}

void Halo::add_back(Context& ctx, const Tensor& wide) const {
  if (none_) return;
  const Tensor whole = by_rows(wide, wide_rows());
  const std::int64_t outer = whole.shape[0], inner = whole.shape[2];
  Tensor edges = ctx.take({outer, kEdges, inner}, wide.dtype);
  Tensor extended = ctx.take({outer, north() + kEdges + south(), inner}, wide.dtype);
  ctx->fill(ctx, extended, 0);
  copy_rows(ctx, whole, 0, north(), extended, 0);
  copy_rows(ctx, whole, north() + rows(), south(), extended, north() + kEdges);
  if (!ctx.planning())
    on_host(ctx, extended, edges, [&](auto with_halo, auto slab) {
      return exchange_.adjoint(static_cast<std::size_t>(outer), static_cast<std::size_t>(inner), with_halo, slab);
    }).wait();
  ctx.release(extended);
  Tensor own = ctx.take({outer, 1, inner}, wide.dtype), given = ctx.take({outer, 1, inner}, wide.dtype);
  const auto add = [&](std::int64_t edge, std::int64_t row) {
    copy_rows(ctx, whole, row, 1, own, 0);
    copy_rows(ctx, edges, edge, 1, given, 0);
    ctx->add(ctx, given, own);
    copy_rows(ctx, own, 0, 1, whole, row);
  };
  if (slabs_.rank() > 0) add(0, north());
  if (sides_ == Sides::both && slabs_.rank() + 1 < slabs_.size()) add(1, north() + rows() - 1);
  ctx.release(own, given, edges);
}

void Halo::scale_shared(Context& ctx, const Tensor& wide, double factor) const {
  if (none_) return;
  const Tensor whole = by_rows(wide, wide_rows());
  Tensor row = ctx.take({whole.shape[0], 1, whole.shape[2]}, wide.dtype);
  const auto scale = [&](std::int64_t at) {
    copy_rows(ctx, whole, at, 1, row, 0);
    if (!ctx.planning()) ctx->scale(row, factor);
    copy_rows(ctx, row, 0, 1, whole, at);
  };
  if (slabs_.rank() > 0) scale(0);
  if (south() > 0) scale(rows());
  ctx.release(row);
}

parallel::HaloExchange::Traffic Halo::refresh_traffic(const Shape& slab, DType dtype) const {
  if (none_) return {};
  const auto numbers = static_cast<std::size_t>(slab.count() / rows());
  return exchange_.exchange_traffic(1, numbers, size_of(dtype));
}

parallel::HaloExchange::Traffic Halo::add_back_traffic(const Shape& slab, DType dtype) const {
  if (none_) return {};
  const auto numbers = static_cast<std::size_t>(slab.count() / rows());
  return exchange_.adjoint_traffic(1, numbers, size_of(dtype));
}

Halo shared_rows(const Slab& slab) {
  const PatchGeometry patches = slab.patches();
  return Halo(slab.ranks(), slab.image_row_counts(),
              patches.kernel_rows > patches.size ? Halo::Sides::south : Halo::Sides::none);
}

void copy_rows(Context& ctx, const Tensor& from, std::int64_t first, std::int64_t n, const Tensor& to,
               std::int64_t at) {
  const std::int64_t outer = from.shape[0], inner = from.shape[2], from_rows = from.shape[1], to_rows = to.shape[1];
  if (ctx.planning() || n == 0) return;
  const Tensor source = from.reshaped({outer * from_rows, inner}), target = to.reshaped({outer * to_rows, inner});
  for (std::int64_t o = 0; o < outer; ++o)
    ctx->copy(ctx, source.slice(o * from_rows + first, n), target.slice(o * to_rows + at, n));
}

}  // namespace zonda::model
