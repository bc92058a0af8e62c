#include "parallel/layout/layout.hpp"

#include "core/error.hpp"

namespace zonda::parallel {

using Kind = Placement::Kind;

Layout Layout::with(Axis axis, Placement placement) const {
  Layout layout = *this;
  layout.placements_[static_cast<std::size_t>(axis)] = replicated;
  if (placement.kind == Kind::sharded) {
    if (placement.dimension >= dimensions_)
      fail(ErrorKind::failure, "layout: dimension {} of a tensor of {} cannot be cut over {}", placement.dimension,
           dimensions_, name_of(axis));
    if (const auto other = layout.axis_of(placement.dimension))
      fail(ErrorKind::failure, "layout: dimension {} is cut over {} already, not over {} too", placement.dimension,
           name_of(*other), name_of(axis));
  }
  layout.placements_[static_cast<std::size_t>(axis)] = placement;
  return layout;
}

std::optional<Axis> Layout::axis_of(std::size_t dimension) const {
  for (const Axis axis : mesh_axes)
    if ((*this)[axis] == sharded(dimension)) return axis;
  return std::nullopt;
}

Layout Layout::dual() const {
  Layout layout = *this;
  for (Placement& placement : layout.placements_) {
    if (placement == replicated)
      placement = partial;
    else if (placement == partial)
      placement = replicated;
  }
  return layout;
}

Range Layout::range(std::size_t dimension, std::size_t extent, const MeshShape& mesh,
                    const std::array<int, 4>& coordinates) const {
  const std::optional<Axis> axis = axis_of(dimension);
  if (!axis) return {0, extent};
  return partition(extent, static_cast<std::size_t>(mesh[*axis]),
                   static_cast<std::size_t>(coordinates[static_cast<std::size_t>(*axis)]));
}

std::vector<std::size_t> Layout::local_shape(std::span<const std::size_t> shape, const MeshShape& mesh,
                                             const std::array<int, 4>& coordinates) const {
  if (shape.size() != dimensions_)
    fail(ErrorKind::failure, "layout: of {} dimensions, the tensor has {}", dimensions_, shape.size());
  std::vector<std::size_t> local;
  for (std::size_t d = 0; d < dimensions_; ++d) local.push_back(range(d, shape[d], mesh, coordinates).size());
  return local;
}

std::string Layout::to_string() const {
  std::string text = "[", sums;
  for (std::size_t d = 0; d < dimensions_; ++d) {
    const std::optional<Axis> axis = axis_of(d);
    text += fmt::format("{}{}", d == 0 ? "" : ", ", axis ? name_of(*axis) : "-");
  }
  for (const Axis axis : mesh_axes)
    if ((*this)[axis] == partial) sums += fmt::format("{}{}", sums.empty() ? "] partial over " : ", ", name_of(axis));
  return text + (sums.empty() ? "]" : sums);
}

}  // namespace zonda::parallel
