#pragma once
// The lateral boundary of a regional model: the cells near the edge, in which its state is relaxed to the host's
// (Davies 1976): x <- a(d) x_host + (1 - a(d)) x_predicted with a(d) = cos^2(pi d / 2 n), d the cells to the edge and n
// the ring's width. At the edge itself a = 1: the host's values, bit by bit.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/grid.hpp"

namespace zonda::model {

class BoundaryRing {
 public:
  /// Throws Error(usage): a grid that goes around the globe, a width below 1, or one that leaves no interior.
  BoundaryRing(const Grid& grid, int width);

  int width() const { return width_; }
  std::size_t size() const { return cells_.size(); }  ///< cells of the ring
  std::size_t points() const { return points_; }      ///< cells of the grid
  std::size_t rows() const { return rows_; }          ///< of the grid
  std::size_t columns() const { return points_ / rows_; }
  /// Numbers of the ring's cells in `[lat, lon]`, ascending: a strip is `[channel, cell]` in this order.
  std::span<const std::uint32_t> cells() const { return cells_; }
  std::span<const int> distances() const { return distances_; }  ///< [cell] d: 0 at the outermost
  std::span<const float> weights() const { return weights_; }    ///< [cell] a(d)
  /// a(d) as a field `[lat, lon]`, 0 in the interior.
  std::span<const float> weight_field() const { return weight_field_; }
  /// d / n as a field `[lat, lon]`: 0 at the edge, 1 in the interior.
  std::span<const float> distance_field() const { return distance_field_; }
  bool interior(std::size_t cell) const { return weight_field_[cell] == 0.0F; }

  /// `fields [channel, lat, lon]` -> `strip [channel, cell]`.
  void gather(std::span<const float> fields, std::span<float> strip) const;
  /// The inverse, zero in the interior.
  void scatter(std::span<const float> strip, std::span<float> fields) const;
  /// x <- a x_host + (1 - a) x, in place. Throws Error(numerical) naming channel and cell where the host's strip is not
  /// finite.
  void relax(std::span<const float> host_strip, std::span<float> fields) const;
  /// Throws Error(failure) naming channel and cell where a value at the edge is not the host's, bit by bit.
  void require_edge(std::span<const float> host_strip, std::span<const float> fields) const;

 private:
  std::size_t channels_of(std::size_t strip, std::size_t fields) const;
  int width_;
  std::size_t points_, rows_;
  std::vector<std::uint32_t> cells_;
  std::vector<int> distances_;
  std::vector<float> weights_, weight_field_, distance_field_;
};

}  // namespace zonda::model
