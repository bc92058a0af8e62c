#pragma once
// How a tensor lies on a mesh. Along every mesh axis it is replicated, cut along one of its dimensions, or a partial
// sum: the tensor is then the sum of what the ranks along that axis hold.
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "parallel/layout/mesh.hpp"
#include "parallel/partition.hpp"

namespace zonda::parallel {

struct Placement {
  enum class Kind { replicated, sharded, partial };
  Kind kind = Kind::replicated;
  std::size_t dimension = 0;  ///< of a sharded one
  bool operator==(const Placement&) const = default;
};
inline constexpr Placement replicated{};
inline constexpr Placement partial{Placement::Kind::partial, 0};
constexpr Placement sharded(std::size_t dimension) {
  return {Placement::Kind::sharded, dimension};
}

/// A tensor of `dimensions` dimensions, replicated unless told otherwise. A dimension is cut over one axis at most; the
/// shares are those of partition(), so extents need not divide.
class Layout {
 public:
  explicit Layout(std::size_t dimensions) : dimensions_(dimensions) {}
  std::size_t dimensions() const { return dimensions_; }
  Placement operator[](Axis axis) const { return placements_[static_cast<std::size_t>(axis)]; }
  /// The same layout with another placement along `axis`. Throws Error(failure) where the dimension does not exist or
  /// is cut over another axis.
  Layout with(Axis axis, Placement placement) const;
  /// The axis that cuts a dimension.
  std::optional<Axis> axis_of(std::size_t dimension) const;
  bool operator==(const Layout&) const = default;

  /// Where the derivative of a scalar by this tensor lies: a replicated value has been used by every rank, so that its
  /// derivative is the sum of theirs (partial), and the other way round.
  Layout dual() const;
  /// What of `dimension` the rank at `coordinates` holds.
  Range range(std::size_t dimension, std::size_t extent, const MeshShape& mesh,
              const std::array<int, 4>& coordinates) const;
  std::vector<std::size_t> local_shape(std::span<const std::size_t> shape, const MeshShape& mesh,
                                       const std::array<int, 4>& coordinates) const;
  /// "[-, spatial, -] partial over tensor"
  std::string to_string() const;

 private:
  std::size_t dimensions_;
  std::array<Placement, 4> placements_{};
};

}  // namespace zonda::parallel
