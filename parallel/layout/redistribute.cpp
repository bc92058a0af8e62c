#include "parallel/layout/redistribute.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/error.hpp"
#include "parallel/all_reduce.hpp"

namespace zonda::parallel {
namespace {

using Kind = Placement::Kind;

std::size_t product(std::span<const std::size_t> extents) {
  return std::accumulate(extents.begin(), extents.end(), std::size_t{1}, std::multiplies<>());
}

/// An array [outer, extent, inner], seen along one of its dimensions.
struct Along {
  Along(std::span<const std::size_t> shape, std::size_t dimension)
      : outer(product(shape.first(dimension))),
        extent(shape[dimension]),
        inner(product(shape.subspan(dimension + 1))) {}
  std::size_t outer, extent, inner;

  std::size_t count(Range range) const { return outer * range.size() * inner; }
  /// `part` [outer, range, inner] out of `whole`, and back into it.
  template <class T>
  void take(const T* whole, Range range, T* part) const {
    for (std::size_t o = 0; o < outer; ++o)
      std::copy_n(whole + (o * extent + range.begin) * inner, range.size() * inner, part + o * range.size() * inner);
  }
  template <class T>
  void place(const T* part, Range range, T* whole) const {
    for (std::size_t o = 0; o < outer; ++o)
      std::copy_n(part + o * range.size() * inner, range.size() * inner, whole + (o * extent + range.begin) * inner);
  }
};

/// One step on this rank: `before` and `after` are its local shapes, and along the axis it is rank `group.rank()`.
template <class T>
class Step {
 public:
  Step(const Redistribution& change, const Communicator& group, std::span<const std::size_t> shape,
       std::vector<std::size_t> before, std::vector<std::size_t> after)
      : change_(change),
        group_(group),
        ranks_(static_cast<std::size_t>(group.size())),
        rank_(static_cast<std::size_t>(group.rank())),
        shape_(shape),
        before_(std::move(before)),
        after_(std::move(after)) {}

  std::vector<T> run(std::vector<T> local) const {
    switch (movement(change_.from, change_.to)) {
      case Movement::nothing:
        return local;
      case Movement::slice:
        return slice(local);
      case Movement::keep_first:
        if (rank_ != 0) std::fill(local.begin(), local.end(), T{0});
        return local;
      case Movement::all_gather:
        return gather(local);
      case Movement::all_to_all:
        return exchange(local);
      case Movement::pad:
        return pad(local);
      case Movement::all_reduce:
        group_.all_reduce(std::span(local), Reduction::sum).wait();
        return local;
      case Movement::reduce_scatter:
        return reduce_scatter(local);
    }
    return local;
  }

 private:
  Range share(std::size_t dimension, std::size_t r) const { return partition(shape_[dimension], ranks_, r); }

  std::vector<T> slice(const std::vector<T>& local) const {
    std::vector<T> part(product(after_));
    Along(before_, change_.to.dimension).take(local.data(), share(change_.to.dimension, rank_), part.data());
    return part;
  }

  std::vector<T> pad(const std::vector<T>& local) const {
    std::vector<T> whole(product(after_), T{0});
    Along(after_, change_.from.dimension).place(local.data(), share(change_.from.dimension, rank_), whole.data());
    return whole;
  }

  std::vector<T> gather(const std::vector<T>& local) const {
    const std::size_t dimension = change_.from.dimension;
    const Along along(after_, dimension);
    std::vector<std::size_t> offset{0};
    for (std::size_t r = 0; r < ranks_; ++r)
      offset.push_back(offset.back() + along.count(share(dimension, r)) * sizeof(T));
    std::vector<T> parts(product(after_));
    group_.all_gather(std::as_bytes(std::span(local)), std::as_writable_bytes(std::span(parts)), offset).wait();
    if (along.outer == 1) return parts;
    std::vector<T> whole(parts.size());
    for (std::size_t r = 0; r < ranks_; ++r)
      along.place(parts.data() + offset[r] / sizeof(T), share(dimension, r), whole.data());
    return whole;
  }

  /// To each rank its part along `dimension`; from each rank `arriving(r)` numbers, one rank's after the other's.
  template <class Arriving>
  std::vector<T> scatter(const std::vector<T>& local, std::size_t dimension, Arriving arriving) const {
    const Along along(before_, dimension);
    std::vector<std::size_t> send{0}, receive{0};
    std::vector<T> outgoing(local.size());
    for (std::size_t r = 0; r < ranks_; ++r) {
      along.take(local.data(), share(dimension, r), outgoing.data() + send.back() / sizeof(T));
      send.push_back(send.back() + along.count(share(dimension, r)) * sizeof(T));
      receive.push_back(receive.back() + arriving(r) * sizeof(T));
    }
    std::vector<T> incoming(receive.back() / sizeof(T));
    group_.all_to_all(std::as_bytes(std::span(outgoing)), send, std::as_writable_bytes(std::span(incoming)), receive)
        .wait();
    return incoming;
  }

  std::vector<T> exchange(const std::vector<T>& local) const {
    const Along along(after_, change_.from.dimension);
    const auto arriving = [&](std::size_t r) { return along.count(share(change_.from.dimension, r)); };
    const std::vector<T> incoming = scatter(local, change_.to.dimension, arriving);
    std::vector<T> whole(product(after_));
    const T* part = incoming.data();
    for (std::size_t r = 0; r < ranks_; part += arriving(r), ++r)
      along.place(part, share(change_.from.dimension, r), whole.data());
    return whole;
  }

  std::vector<T> reduce_scatter(const std::vector<T>& local) const {
    const std::size_t n = product(after_);
    std::vector<T> parts = scatter(local, change_.to.dimension, [n](std::size_t) { return n; });
    for (std::size_t r = 1; r < ranks_; ++r)
      for (std::size_t i = 0; i < n; ++i) parts[i] += parts[r * n + i];
    parts.resize(n);
    return parts;
  }

  const Redistribution& change_;
  const Communicator& group_;
  std::size_t ranks_, rank_;
  std::span<const std::size_t> shape_;
  std::vector<std::size_t> before_, after_;
};

template <class T>
std::vector<T> run(const Mesh& mesh, std::span<const std::size_t> shape, const Layout& from, const Layout& to,
                   std::span<const T> local) {
  const std::array<int, 4> at = mesh.shape().coordinates(mesh.world().rank());
  Layout layout = from;
  std::vector<std::size_t> before = layout.local_shape(shape, mesh.shape(), at);
  if (local.size() != product(before))
    fail(ErrorKind::failure, "redistribute: in layout {} rank {} holds {} numbers, not {}", from.to_string(),
         mesh.world().rank(), product(before), local.size());
  std::vector<T> values(local.begin(), local.end());
  for (const Redistribution& change : plan_redistribution(from, to)) {
    layout = layout.with(change.axis, change.to);
    std::vector<std::size_t> after = layout.local_shape(shape, mesh.shape(), at);
    if (mesh.size(change.axis) > 1)
      values = Step<T>(change, mesh.along(change.axis), shape, before, after).run(std::move(values));
    before = std::move(after);
  }
  return values;
}

/// Of the tensor's size: what shrinks it goes first, what makes it larger last.
int growth(Movement movement) {
  switch (movement) {
    case Movement::slice:
    case Movement::reduce_scatter:
      return 0;
    case Movement::nothing:
    case Movement::keep_first:
    case Movement::all_to_all:
      return 1;
    case Movement::all_reduce:
      return 2;
    case Movement::all_gather:
    case Movement::pad:
      return 3;
  }
  return 3;
}

}  // namespace

std::string_view name_of(Movement movement) {
  constexpr std::array<std::string_view, 8> names{"nothing",    "slice", "keep first", "all-gather",
                                                  "all-to-all", "pad",   "all-reduce", "reduce-scatter"};
  return names[static_cast<std::size_t>(movement)];
}

Movement movement(Placement from, Placement to) {
  if (from == to) return Movement::nothing;
  constexpr std::array<std::array<Movement, 3>, 3> table{{
      {Movement::nothing, Movement::slice, Movement::keep_first},
      {Movement::all_gather, Movement::all_to_all, Movement::pad},
      {Movement::all_reduce, Movement::reduce_scatter, Movement::nothing},
  }};
  return table[static_cast<std::size_t>(from.kind)][static_cast<std::size_t>(to.kind)];
}

std::vector<Redistribution> plan_redistribution(const Layout& from, const Layout& to) {
  if (from.dimensions() != to.dimensions())
    fail(ErrorKind::failure, "redistribute: from {} dimensions to {}", from.dimensions(), to.dimensions());
  std::vector<Redistribution> steps;
  Layout layout = from;
  while (!(layout == to)) {
    const Redistribution* next = nullptr;
    std::vector<Redistribution> open;
    for (const Axis axis : mesh_axes)
      if (!(layout[axis] == to[axis])) open.push_back({axis, layout[axis], to[axis]});
    for (const Redistribution& change : open) {
      if (change.to.kind == Kind::sharded && layout.axis_of(change.to.dimension)) continue;  // not free yet
      if (next == nullptr || growth(movement(change.from, change.to)) < growth(movement(next->from, next->to)))
        next = &change;
    }
    // All wait for a dimension that another one cuts: a cycle of axes.
    const Redistribution change = next != nullptr ? *next : Redistribution{open[0].axis, open[0].from, replicated};
    steps.push_back(change);
    layout = layout.with(change.axis, change.to);
  }
  return steps;
}

LayoutTraffic redistribution_traffic(const Layout& from, const Layout& to, std::span<const std::size_t> shape,
                                     std::size_t width, const MeshShape& mesh, const std::array<int, 4>& coordinates) {
  LayoutTraffic traffic;
  Layout layout = from;
  for (const Redistribution& change : plan_redistribution(from, to)) {
    const std::vector<std::size_t> local = layout.local_shape(shape, mesh, coordinates);
    layout = layout.with(change.axis, change.to);
    const int ranks = mesh[change.axis], rank = coordinates[static_cast<std::size_t>(change.axis)];
    const std::size_t bytes = product(local) * width;
    if (ranks == 1 || bytes == 0) continue;
    const auto others = static_cast<std::uint64_t>(ranks - 1);
    switch (movement(change.from, change.to)) {
      case Movement::nothing:
      case Movement::slice:
      case Movement::keep_first:
      case Movement::pad:
        break;
      case Movement::all_gather:
        traffic.messages += others;
        traffic.bytes += others * bytes;
        break;
      case Movement::all_reduce: {
        const ReductionTraffic reduction = all_reduce_traffic(product(local), width, ranks, rank);
        traffic.messages += reduction.messages;
        traffic.bytes += reduction.bytes;
        break;
      }
      case Movement::all_to_all:
      case Movement::reduce_scatter: {
        // Everything but the own share of the dimension that will be cut; empty shares are no messages.
        const std::size_t extent = shape[change.to.dimension], parts = static_cast<std::size_t>(ranks);
        const std::size_t own = partition(extent, parts, static_cast<std::size_t>(rank)).size();
        traffic.bytes += bytes / extent * (extent - own);
        traffic.messages += std::min(extent, parts) - (own > 0 ? 1 : 0);
        break;
      }
    }
  }
  return traffic;
}

std::vector<float> redistribute(const Mesh& mesh, std::span<const std::size_t> shape, const Layout& from,
                                const Layout& to, std::span<const float> local) {
  return run(mesh, shape, from, to, local);
}
std::vector<double> redistribute(const Mesh& mesh, std::span<const std::size_t> shape, const Layout& from,
                                 const Layout& to, std::span<const double> local) {
  return run(mesh, shape, from, to, local);
}
std::vector<float> redistribute_adjoint(const Mesh& mesh, std::span<const std::size_t> shape, const Layout& from,
                                        const Layout& to, std::span<const float> local) {
  return run(mesh, shape, to.dual(), from.dual(), local);
}
std::vector<double> redistribute_adjoint(const Mesh& mesh, std::span<const std::size_t> shape, const Layout& from,
                                         const Layout& to, std::span<const double> local) {
  return run(mesh, shape, to.dual(), from.dual(), local);
}

}  // namespace zonda::parallel
