#include "assimilation/covariance/diffusion_correlation.hpp"

#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {

DiffusionCorrelation::Line DiffusionCorrelation::line(ConstView ratios) {
  const std::size_t n = ratios.size() + 1;
  Line result{Vector(n, 1), ratios.empty() ? Vector() : Vector(n - 1)};
  for (std::size_t i = 0; i + 1 < n; ++i) {
    result.pivot[i] += ratios[i];
    result.pivot[i + 1] += ratios[i];
  }
  for (std::size_t i = 0; i + 1 < n; ++i) {
    result.factor[i] = -ratios[i] / result.pivot[i];
    result.pivot[i + 1] += ratios[i] * result.factor[i];
  }
  return result;
}

void DiffusionCorrelation::Line::solve(View line, std::size_t steps) const {
  const std::size_t n = pivot.size();
  for (std::size_t step = 0; step < steps; ++step) {
    for (std::size_t i = 1; i < n; ++i) line[i] -= factor[i - 1] * line[i - 1];
    for (std::size_t i = n; i-- > 0;) line[i] = line[i] / pivot[i] - (i + 1 < n ? factor[i] * line[i + 1] : 0);
  }
}

/// The diagonal of the square of the operator: sums of squares of its columns.
Vector DiffusionCorrelation::Line::variances(std::size_t steps) const {
  Vector result(pivot.size()), unit(pivot.size());
  for (std::size_t i = 0; i < unit.size(); ++i) {
    unit.assign(unit.size(), 0);
    unit[i] = 1;
    solve(unit, steps);
    result[i] = dot(unit, unit);
  }
  return result;
}

DiffusionCorrelation::DiffusionCorrelation(const Grid& grid, double length, std::size_t steps)
    : rows_(grid.nlat()), columns_(grid.nlon()), half_steps_(steps / 2), deviations_(grid.size()) {
  if (!(length > 0)) fail(ErrorKind::usage, "diffusion over {} m, expected > 0", length);
  if (steps < 4 || steps % 2 != 0) fail(ErrorKind::usage, "{} steps of diffusion, expected 4, 6, 8 ...", steps);
  if (grid.periodic())
    fail(ErrorKind::usage, "diffusion correlations are for grids that do not close; on {} use a spectral one",
         grid.to_string());
  // Mirouze & Weaver (2010): M steps of scale L have the Daley length sqrt(2 M - 3) L.
  const double scale = length / std::sqrt(2 * static_cast<double>(steps) - 3);
  constexpr double degree = constants::pi / 180 * constants::earth_radius;
  Vector ratios;
  for (std::size_t row = 0; row + 1 < rows_; ++row) {
    const double distance = degree * (grid.latitudes()[row] - grid.latitudes()[row + 1]);
    ratios.push_back(scale * scale / (distance * distance));
  }
  by_column_ = line(ratios);
  for (const double latitude : grid.latitudes()) {
    const double distance = degree * grid.longitude_step() * std::cos(latitude * constants::pi / 180);
    by_row_.push_back(line(Vector(columns_ - 1, scale * scale / (distance * distance))));
  }
  const Vector of_column = by_column_.variances(half_steps_);
  for (std::size_t row = 0; row < rows_; ++row) {
    const Vector of_row = by_row_[row].variances(half_steps_);
    for (std::size_t column = 0; column < columns_; ++column)
      deviations_[row * columns_ + column] = std::sqrt(of_column[row] * of_row[column]);
  }
}

void DiffusionCorrelation::along_columns(View field) const {
  Vector line(rows_);
  for (std::size_t column = 0; column < columns_; ++column) {
    for (std::size_t row = 0; row < rows_; ++row) line[row] = field[row * columns_ + column];
    by_column_.solve(line, half_steps_);
    for (std::size_t row = 0; row < rows_; ++row) field[row * columns_ + column] = line[row];
  }
}

void DiffusionCorrelation::along_rows(View field) const {
  for (std::size_t row = 0; row < rows_; ++row)
    by_row_[row].solve(field.subspan(row * columns_, columns_), half_steps_);
}

void DiffusionCorrelation::square_roots(std::size_t fields, ConstView controls, View y) const {
  require_size("the fields", y.size(), fields * size());
  copy(controls, y);
  for (std::size_t f = 0; f < fields; ++f) {
    const View field = y.subspan(f * size(), size());
    along_columns(field);
    along_rows(field);
    for (std::size_t i = 0; i < size(); ++i) field[i] /= deviations_[i];
  }
}

void DiffusionCorrelation::square_root_adjoints(std::size_t fields, ConstView x, View controls) const {
  require_size("the fields", x.size(), fields * size());
  copy(x, controls);
  for (std::size_t f = 0; f < fields; ++f) {
    const View field = controls.subspan(f * size(), size());
    for (std::size_t i = 0; i < size(); ++i) field[i] /= deviations_[i];
    along_rows(field);
    along_columns(field);
  }
}

}  // namespace zonda::assimilation
