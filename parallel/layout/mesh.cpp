#include "parallel/layout/mesh.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

#include "core/error.hpp"

namespace zonda::parallel {
namespace {

std::vector<std::string> axis_names() {
  std::vector<std::string> names;
  for (const Axis axis : mesh_axes) names.emplace_back(name_of(axis));
  return names;
}

struct Parsed {
  MeshShape shape;
  std::array<bool, 4> named{};
};

Parsed parse(std::string_view text) {
  Parsed parsed;
  const std::vector<std::string> names = axis_names();
  std::int64_t ranks = 1;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos)
      fail(ErrorKind::usage, "mesh: '{}' is not AXIS=RANKS, as in data=2,spatial=4", word);
    const std::string_view name = word.substr(0, equals), number = word.substr(equals + 1);
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) throw Error(ErrorKind::usage, unknown_word("mesh axis", name, names));
    const auto axis = static_cast<std::size_t>(found - names.begin());
    if (parsed.named[axis]) fail(ErrorKind::usage, "mesh: {} is given twice", name);
    parsed.named[axis] = true;
    int& extent = parsed.shape.extent[axis];
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), extent);
    if (error != std::errc() || end != number.data() + number.size() || extent < 1)
      fail(ErrorKind::usage, "mesh: {}={}: expected a number of ranks, 1 or more", name, number);
    ranks *= extent;
    if (ranks > std::numeric_limits<int>::max()) fail(ErrorKind::usage, "mesh: more than 2^31 - 1 ranks");
  }
  return parsed;
}

}  // namespace

std::string_view name_of(Axis axis) {
  constexpr std::array<std::string_view, 4> names{"data", "pipeline", "spatial", "tensor"};
  return names[static_cast<std::size_t>(axis)];
}

std::array<int, 4> MeshShape::coordinates(int rank) const {
  std::array<int, 4> at{};
  for (std::size_t a = at.size(); a-- > 0; rank /= extent[a]) at[a] = rank % extent[a];
  return at;
}

int MeshShape::rank(const std::array<int, 4>& at) const {
  int rank = 0;
  for (std::size_t a = 0; a < at.size(); ++a) rank = rank * extent[a] + at[a];
  return rank;
}

MeshShape parse_mesh(std::string_view text) {
  return parse(text).shape;
}

MeshShape parse_mesh(std::string_view text, int ranks) {
  Parsed parsed = parse(text);
  if (!parsed.named[static_cast<std::size_t>(Axis::data)])
    parsed.shape[Axis::data] = std::max(ranks / parsed.shape.ranks(), 1);
  if (parsed.shape.ranks() != ranks)
    fail(ErrorKind::usage, "mesh '{}' is of {} ranks, the program runs on {}", to_string(parsed.shape),
         parsed.shape.ranks(), ranks);
  return parsed.shape;
}

std::string to_string(const MeshShape& shape) {
  std::string text;
  for (const Axis axis : mesh_axes)
    if (shape[axis] > 1) text += fmt::format("{}{}={}", text.empty() ? "" : ",", name_of(axis), shape[axis]);
  return text.empty() ? "data=1" : text;
}

Mesh::Mesh(const Communicator& world, const MeshShape& shape)
    : world_(world), shape_(shape), groups_{world, world, world, world} {
  if (shape.ranks() != world.size())
    fail(ErrorKind::usage, "mesh '{}' is of {} ranks, the program runs on {}", to_string(shape), shape.ranks(),
         world.size());
  coordinates_ = shape.coordinates(world.rank());
  for (const Axis axis : mesh_axes) groups_[static_cast<std::size_t>(axis)] = across(std::span(&axis, 1));
}

Communicator Mesh::across(std::span<const Axis> axes) const {
  // The group is named by its rank that has coordinate 0 along all of `axes`.
  std::array<int, 4> first = coordinates_;
  for (const Axis axis : axes) first[static_cast<std::size_t>(axis)] = 0;
  return world_.split(shape_.rank(first), world_.rank());
}

std::optional<int> Mesh::north() const {
  const int slab = coordinate(Axis::spatial);
  return slab > 0 ? std::optional(slab - 1) : std::nullopt;
}

std::optional<int> Mesh::south() const {
  const int slab = coordinate(Axis::spatial);
  return slab + 1 < size(Axis::spatial) ? std::optional(slab + 1) : std::nullopt;
}

}  // namespace zonda::parallel
