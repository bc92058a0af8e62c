#pragma once
// The ranks as a box: data x pipeline x spatial x tensor, tensor innermost, so that the ranks that talk most are
// neighbours.
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

enum class Axis { data, pipeline, spatial, tensor };
inline constexpr std::array<Axis, 4> mesh_axes{Axis::data, Axis::pipeline, Axis::spatial, Axis::tensor};
std::string_view name_of(Axis axis);

/// Ranks along each axis.
struct MeshShape {
  std::array<int, 4> extent{1, 1, 1, 1};
  int operator[](Axis axis) const { return extent[static_cast<std::size_t>(axis)]; }
  int& operator[](Axis axis) { return extent[static_cast<std::size_t>(axis)]; }
  int ranks() const { return extent[0] * extent[1] * extent[2] * extent[3]; }
  bool operator==(const MeshShape&) const = default;
  /// The place of a rank, and the rank at a place.
  std::array<int, 4> coordinates(int rank) const;
  int rank(const std::array<int, 4>& coordinates) const;
};

/// "data=2,spatial=4"; "" is one rank. Throws Error(usage) naming the word that is wrong.
MeshShape parse_mesh(std::string_view text);
/// As parse_mesh, for `ranks` ranks: where `text` does not name the data axis, it takes the ranks that the others
/// leave. Throws Error(usage) where the product is not `ranks`.
MeshShape parse_mesh(std::string_view text, int ranks);
/// The axes of more than one rank, as parse_mesh reads them; "data=1" for one rank.
std::string to_string(const MeshShape& shape);

/// This rank's place in a mesh, and its groups.
class Mesh {
 public:
  /// Collective. Throws Error(usage) where `shape` has not as many ranks as `world`.
  Mesh(const Communicator& world, const MeshShape& shape);
  const MeshShape& shape() const { return shape_; }
  const Communicator& world() const { return world_; }
  int size(Axis axis) const { return shape_[axis]; }
  int coordinate(Axis axis) const { return coordinates_[static_cast<std::size_t>(axis)]; }
  /// The ranks that differ from this one along `axis` only, in the order of their coordinates.
  const Communicator& along(Axis axis) const { return groups_[static_cast<std::size_t>(axis)]; }
  /// The ranks that differ from this one along `axes` only, in the order of the world. Collective.
  Communicator across(std::span<const Axis> axes) const;
  /// The slabs of latitude beside this one, as ranks of along(Axis::spatial): none beyond a pole.
  std::optional<int> north() const;
  std::optional<int> south() const;

 private:
  Communicator world_;
  MeshShape shape_;
  std::array<int, 4> coordinates_;
  std::array<Communicator, 4> groups_;
};

}  // namespace zonda::parallel
