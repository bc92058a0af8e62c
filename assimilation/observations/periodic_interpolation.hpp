#pragma once
#include <array>

#include "assimilation/interfaces/observation_operator.hpp"
#include "assimilation/interfaces/position.hpp"

namespace zonda::assimilation {

/// One field [y, x] of a state on a doubly periodic grid (a ring where ny is 1), at `offset` in the state.
struct PeriodicField {
  std::size_t state_size, offset, nx, ny;
  double dx, dy;  ///< spacing, in the unit of positions
};

/// Bilinear interpolation to points.
class PeriodicInterpolation final : public ObservationOperator {
 public:
  PeriodicInterpolation(const PeriodicField& field, std::span<const Position> points);
  std::size_t state_size() const override { return state_size_; }
  std::size_t size() const override { return stencils_.size(); }
  void apply(ConstView state, View values) const override;
  void tangent(ConstView state, ConstView perturbation, View values) const override;
  void adjoint(ConstView state, ConstView values, View sensitivity) const override;

 private:
  struct Stencil {
    std::array<std::size_t, 4> index;
    std::array<double, 4> weight;
  };
  std::size_t state_size_;
  std::vector<Stencil> stencils_;
};

}  // namespace zonda::assimilation
