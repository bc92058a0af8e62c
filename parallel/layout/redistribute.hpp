#pragma once
// From one layout to another. Along one axis the table is
//
//   from \ to    replicated      sharded           partial
//   replicated   nothing         slice             keep on the first rank
//   sharded      all-gather      all-to-all        pad with zeros
//   partial      all-reduce      reduce-scatter    nothing
//
// and every entry's adjoint is in it: that of from -> to is dual(to) -> dual(from) (layout.hpp). So slice and pad,
// all-gather and reduce-scatter are each other's adjoints; all-reduce and keep are their own.
#include <span>
#include <string_view>
#include <vector>

#include "parallel/layout/layout.hpp"

namespace zonda::parallel {

enum class Movement { nothing, slice, keep_first, all_gather, all_to_all, pad, all_reduce, reduce_scatter };
std::string_view name_of(Movement movement);
/// The table.
Movement movement(Placement from, Placement to);

/// One axis changes its placement.
struct Redistribution {
  Axis axis;
  Placement from, to;
};
/// The steps from one layout to another, those first that make the tensor smaller. Two axes that swap dimensions cost a
/// gather: one of them must give way.
std::vector<Redistribution> plan_redistribution(const Layout& from, const Layout& to);

/// What a rank hands to others.
struct LayoutTraffic {
  std::uint64_t messages = 0, bytes = 0;
  bool operator==(const LayoutTraffic&) const = default;
};
/// What redistribute() sends from the rank at `coordinates`, for numbers of `width` bytes.
LayoutTraffic redistribution_traffic(const Layout& from, const Layout& to, std::span<const std::size_t> shape,
                                     std::size_t width, const MeshShape& mesh, const std::array<int, 4>& coordinates);

/// A tensor of global shape `shape` (row-major), of which this rank holds `local` in layout `from`, in layout `to`.
/// Collective. Sums are added in rank order. Throws Error(failure) where `local` has not the size of its share.
std::vector<float> redistribute(const Mesh& mesh, std::span<const std::size_t> shape, const Layout& from,
                                const Layout& to, std::span<const float> local);
std::vector<double> redistribute(const Mesh& mesh, std::span<const std::size_t> shape, const Layout& from,
                                 const Layout& to, std::span<const double> local);

/// The derivative by redistribute()'s input, from that by its output: `local` lies in to.dual(), the result in
/// from.dual().
std::vector<float> redistribute_adjoint(const Mesh& mesh, std::span<const std::size_t> shape, const Layout& from,
                                        const Layout& to, std::span<const float> local);
std::vector<double> redistribute_adjoint(const Mesh& mesh, std::span<const std::size_t> shape, const Layout& from,
                                         const Layout& to, std::span<const double> local);

}  // namespace zonda::parallel
