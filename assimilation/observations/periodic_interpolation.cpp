#include "assimilation/observations/periodic_interpolation.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

struct Bracket {
  std::size_t before, after;
  double fraction;
};

Bracket bracket(double coordinate, double spacing, std::size_t n) {
  if (n == 1) return {0, 0, 0};
  const double length = static_cast<double>(n), turns = coordinate / spacing / length;
  const double in_grid = (turns - std::floor(turns)) * length;
  const double below = std::floor(in_grid);
  const std::size_t before = static_cast<std::size_t>(below) % n;
  return {before, (before + 1) % n, in_grid - below};
}

}  // namespace

PeriodicInterpolation::PeriodicInterpolation(const PeriodicField& field, std::span<const Position> points)
    : state_size_(field.state_size) {
  if (field.offset + field.nx * field.ny > field.state_size || field.nx * field.ny == 0)
    fail(ErrorKind::usage, "field of {}x{} points at {} in a state of {}", field.nx, field.ny, field.offset,
         field.state_size);
  for (const Position& point : points) {
    if (!std::isfinite(point.x) || !std::isfinite(point.y))
      fail(ErrorKind::data, "observation at ({}, {}), expected finite coordinates", point.x, point.y);
    const Bracket x = bracket(point.x, field.dx, field.nx), y = bracket(point.y, field.dy, field.ny);
    const auto at = [&](std::size_t j, std::size_t i) { return field.offset + j * field.nx + i; };
    stencils_.push_back({{at(y.before, x.before), at(y.before, x.after), at(y.after, x.before), at(y.after, x.after)},
                         {(1 - y.fraction) * (1 - x.fraction), (1 - y.fraction) * x.fraction,
                          y.fraction * (1 - x.fraction), y.fraction * x.fraction}});
  }
}

void PeriodicInterpolation::apply(ConstView state, View values) const {
  require_size("the observed state", state.size(), state_size_);
  for (std::size_t i = 0; i < stencils_.size(); ++i) {
    values[i] = 0;
    for (std::size_t c = 0; c < 4; ++c) values[i] += stencils_[i].weight[c] * state[stencils_[i].index[c]];
  }
}

void PeriodicInterpolation::tangent(ConstView, ConstView perturbation, View values) const {
  apply(perturbation, values);
}

void PeriodicInterpolation::adjoint(ConstView, ConstView values, View sensitivity) const {
  std::fill(sensitivity.begin(), sensitivity.end(), 0);
  for (std::size_t i = 0; i < stencils_.size(); ++i)
    for (std::size_t c = 0; c < 4; ++c) sensitivity[stencils_[i].index[c]] += stencils_[i].weight[c] * values[i];
}

}  // namespace zonda::assimilation
