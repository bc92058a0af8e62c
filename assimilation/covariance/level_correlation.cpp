#include "assimilation/covariance/level_correlation.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "assimilation/covariance/diffusion_correlation.hpp"
#include "assimilation/covariance/isotropic_correlation.hpp"
#include "assimilation/covariance/localisation.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

constexpr double surface = 1000e2;

/// field += root(level, mode) times the mode's field, for each of `modes`.
void add_modes(const VerticalModes& modes, std::size_t level, const Vector& of_modes, View field) {
  for (std::size_t k = 0; k < modes.modes; ++k)
    axpy(modes.root[level * modes.modes + k], ConstView(of_modes).subspan(k * field.size(), field.size()), field);
}

void add_levels(const VerticalModes& modes, std::size_t level, ConstView field, Vector& of_modes) {
  for (std::size_t k = 0; k < modes.modes; ++k)
    axpy(modes.root[level * modes.modes + k], field, View(of_modes).subspan(k * field.size(), field.size()));
}

/// Fields go together in fours, whatever the number of threads.
constexpr std::size_t together = 4;

Vector horizontal_root(const HorizontalCorrelation& horizontal, std::size_t fields, ConstView control) {
  const std::size_t width = horizontal.control_size(), points = horizontal.size();
  Vector result(fields * points);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t first = 0; first < fields; first += together) {
    const std::size_t count = std::min(together, fields - first);
    horizontal.square_roots(count, control.subspan(first * width, count * width),
                            View(result).subspan(first * points, count * points));
  }
  return result;
}

void horizontal_root_adjoint(const HorizontalCorrelation& horizontal, std::size_t fields, const Vector& of_modes,
                             View control) {
  const std::size_t width = horizontal.control_size(), points = horizontal.size();
#pragma omp parallel for schedule(dynamic)
  for (std::size_t first = 0; first < fields; first += together) {
    const std::size_t count = std::min(together, fields - first);
    horizontal.square_root_adjoints(count, ConstView(of_modes).subspan(first * points, count * points),
                                    control.subspan(first * width, count * width));
  }
}

Vector ln_p(const std::vector<SharedLevel>& levels) {
  Vector result;
  for (const SharedLevel& level : levels) result.push_back(std::log(level.pressure(surface)));
  return result;
}

}  // namespace

VerticalModes::VerticalModes(ConstView ln_p, double half_support) : positions(ln_p.size()), modes(0) {
  if (!(half_support > 0)) fail(ErrorKind::usage, "vertical correlation over {} in ln p, expected > 0", half_support);
  const auto n = static_cast<Eigen::Index>(positions);
  Eigen::MatrixXd matrix(n, n);
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = 0; j < n; ++j)
      matrix(i, j) =
          gaspari_cohn((ln_p[static_cast<std::size_t>(i)] - ln_p[static_cast<std::size_t>(j)]) / half_support);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(matrix);
  std::vector<Eigen::Index> kept;
  for (Eigen::Index k = n; k-- > 0;)
    if (eigen.eigenvalues()(k) > 1e-12 * eigen.eigenvalues()(n - 1)) kept.push_back(k);
  modes = kept.size();
  for (Eigen::Index i = 0; i < n; ++i)
    for (const Eigen::Index k : kept) root.push_back(eigen.eigenvectors()(i, k) * std::sqrt(eigen.eigenvalues()(k)));
}

std::shared_ptr<const HorizontalCorrelation> horizontal_localisation(const Grid& grid, double half_support) {
  if (!(half_support > 0)) fail(ErrorKind::usage, "localisation over {} m, expected > 0", half_support);
  if (grid.kind() == GridKind::regional)
    return std::make_shared<DiffusionCorrelation>(grid, std::sqrt(0.3) * half_support);
  return std::make_shared<IsotropicCorrelation>(
      grid, [half_support](double distance) { return gaspari_cohn(distance / half_support); });
}

SharedLevelCorrelation::SharedLevelCorrelation(const AtmosphereLayout& layout,
                                               std::shared_ptr<const HorizontalCorrelation> horizontal,
                                               double vertical_half_support)
    : layout_(layout),
      horizontal_(std::move(horizontal)),
      levels_(shared_levels(layout)),
      modes_(ln_p(levels_), vertical_half_support) {
  require_size("a horizontal correlation", horizontal_->size(), layout.grid.size());
}

void SharedLevelCorrelation::square_root(ConstView control, View y) const {
  require_size("the state", y.size(), size());
  const std::size_t points = horizontal_->size();
  const Vector of_modes = horizontal_root(*horizontal_, modes_.modes, control);
  std::fill(y.begin(), y.end(), 0);
  Vector field(points);
  for (std::size_t l = 0; l < levels_.size(); ++l) {
    std::fill(field.begin(), field.end(), 0);
    add_modes(modes_, l, of_modes, field);
    for (std::size_t slot = 0; slot < layout_.slots; ++slot)
      for (const std::size_t offset : levels_[l].offsets)
        copy(field, y.subspan(slot * layout_.slot_size + offset, points));
  }
}

void SharedLevelCorrelation::square_root_adjoint(ConstView x, View control) const {
  require_size("the state", x.size(), size());
  const std::size_t points = horizontal_->size();
  Vector of_modes(modes_.modes * points), field(points);
  for (std::size_t l = 0; l < levels_.size(); ++l) {
    std::fill(field.begin(), field.end(), 0);
    for (std::size_t slot = 0; slot < layout_.slots; ++slot)
      for (const std::size_t offset : levels_[l].offsets)
        axpy(1, x.subspan(slot * layout_.slot_size + offset, points), field);
    add_levels(modes_, l, field, of_modes);
  }
  horizontal_root_adjoint(*horizontal_, modes_.modes, of_modes, control);
}

FieldwiseCovariance::FieldwiseCovariance(const AtmosphereLayout& layout,
                                         std::shared_ptr<const HorizontalCorrelation> horizontal,
                                         double vertical_half_support, std::vector<Vector> deviations)
    : size_(layout.slot_size), points_(layout.grid.size()), horizontal_(std::move(horizontal)) {
  require_size("a horizontal correlation", horizontal_->size(), points_);
  require_size("the list of deviations", deviations.size(), layout.fields.size());
  for (std::size_t f = 0; f < layout.fields.size(); ++f) {
    const LaidField& field = layout.fields[f];
    require_size("deviations by level", deviations[f].size(), field.offset.size());
    Vector positions;
    for (std::size_t k = 0; k < field.offset.size(); ++k)
      positions.push_back(std::log(field.upper_air() ? field.a[k] + field.b[k] * surface : surface));
    for (const double deviation : deviations[f])
      if (!(deviation >= 0))
        fail(ErrorKind::usage, "background error {} of '{}', expected >= 0", deviation, field.variable);
    variables_.push_back({field.offset, deviations[f], VerticalModes(positions, vertical_half_support), fields_});
    fields_ += variables_.back().modes.modes;
  }
}

void FieldwiseCovariance::square_root(ConstView control, View y) const {
  require_size("the state", y.size(), size_);
  std::fill(y.begin(), y.end(), 0);
  const std::size_t width = horizontal_->control_size();
  for (const Levels& variable : variables_) {
    const Vector of_modes = horizontal_root(*horizontal_, variable.modes.modes,
                                            control.subspan(variable.first_mode * width, variable.modes.modes * width));
    for (std::size_t k = 0; k < variable.offsets.size(); ++k) {
      const View field = y.subspan(variable.offsets[k], points_);
      add_modes(variable.modes, k, of_modes, field);
      scale(variable.deviations[k], field);
    }
  }
}

void FieldwiseCovariance::square_root_adjoint(ConstView x, View control) const {
  require_size("the state", x.size(), size_);
  const std::size_t width = horizontal_->control_size();
  for (const Levels& variable : variables_) {
    Vector of_modes(variable.modes.modes * points_);
    for (std::size_t k = 0; k < variable.offsets.size(); ++k) {
      Vector field(x.begin() + static_cast<std::ptrdiff_t>(variable.offsets[k]),
                   x.begin() + static_cast<std::ptrdiff_t>(variable.offsets[k] + points_));
      scale(variable.deviations[k], field);
      add_levels(variable.modes, k, field, of_modes);
    }
    horizontal_root_adjoint(*horizontal_, variable.modes.modes, of_modes,
                            control.subspan(variable.first_mode * width, variable.modes.modes * width));
  }
}

}  // namespace zonda::assimilation
