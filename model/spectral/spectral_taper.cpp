#include "model/spectral/spectral_taper.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/grid.hpp"
#include "model/spectral/row_quadrature.hpp"
#include "model/spectral/spherical_transform.hpp"

namespace zonda::model {
/// The normal equations of the fit, apart for each wave m and parity of n - m.
struct SpectralTaper::Fit {
  std::vector<Eigen::LLT<Eigen::MatrixXd>> parts;  ///< [m][parity]

  explicit Fit(const SphericalTransform& transform) {
    const int truncation = transform.truncation();
    for (int m = 0; m <= truncation; ++m)
      for (int parity = 0; parity < 2; ++parity) {
        const int count = (truncation - m - parity) / 2 + 1;
        if (m + parity > truncation) {
          parts.emplace_back();
          continue;
        }
        Eigen::MatrixXd gram(count, count);
        for (int i = 0; i < count; ++i)
          for (int j = 0; j <= i; ++j)
            gram(i, j) = gram(j, i) = product(transform, m, m + parity + 2 * i, m + parity + 2 * j);
        parts.emplace_back(gram);
      }
  }
  static double product(const SphericalTransform& transform, int m, int n, int l) {
    const auto a = transform.polynomial(m, n), b = transform.polynomial(m, l);
    double sum = 0;
    for (std::size_t row = 0; row < a.size(); ++row) {
      const bool equator = 2 * row + 1 == static_cast<std::size_t>(transform.nlat());
      sum += (equator ? 0.5 : 1) * transform.weights()[row] * a[row] * b[row];
    }
    return sum;
  }
};

SpectralTaper::SpectralTaper(const Grid& grid, int from, int to)
    : from_(from), to_(to), points_(grid.size()), columns_(grid.nlon()) {
  if (grid.kind() == GridKind::regional)
    fail(ErrorKind::usage, "spectral taper: the grid {} is not global, and has no spherical harmonics",
         grid.to_string());
  if (from < 0 || to <= from)
    fail(ErrorKind::usage, "spectral taper: from {} to {}, expected total wavenumbers 0 <= from < to", from, to);
  const int resolved = std::min(static_cast<int>(grid.nlat()) - 1, (static_cast<int>(grid.nlon()) - 1) / 2);
  if (to - 1 > resolved)
    fail(ErrorKind::usage, "spectral taper: to {}, but the grid {} resolves total wavenumbers up to {}", to,
         grid.to_string(), resolved);
  for (const double weight : grid.row_weights()) area_weights_.push_back(weight / static_cast<double>(points_));
  transform_ = std::make_unique<SphericalTransform>(to - 1, grid.latitudes(), static_cast<int>(grid.nlon()),
                                                    row_quadrature(grid));
  if (2 * (to - 1) > exact_degree(grid)) fit_ = std::make_unique<Fit>(*transform_);
}

SpectralTaper::~SpectralTaper() = default;
SpectralTaper::SpectralTaper(SpectralTaper&&) noexcept = default;
SpectralTaper& SpectralTaper::operator=(SpectralTaper&&) noexcept = default;

double SpectralTaper::weight(int n) const {
  if (n <= from_) return 1;
  if (n >= to_) return 0;
  return 0.5 * (1 + std::cos(constants::pi * (n - from_) / (to_ - from_)));
}

void SpectralTaper::solve(Solve which, std::span<double> coefficients) const {
  const SpectralIndex& index = transform_->index();
  for (int m = 0; m <= index.truncation(); ++m)
    for (int parity = 0; parity < 2 && m + parity <= index.truncation(); ++parity) {
      const auto& part = fit_->parts[static_cast<std::size_t>(2 * m + parity)];
      Eigen::MatrixX2d values(part.rows(), 2);
      for (int i = 0; i < values.rows(); ++i)
        for (int k = 0; k < 2; ++k)
          values(i, k) = coefficients[2 * index(m, m + parity + 2 * i) + static_cast<std::size_t>(k)];
      if (which == Solve::whole) part.solveInPlace(values);
      if (which == Solve::lower) part.matrixL().solveInPlace(values);
      if (which == Solve::upper) part.matrixU().solveInPlace(values);
      for (int i = 0; i < values.rows(); ++i)
        for (int k = 0; k < 2; ++k)
          coefficients[2 * index(m, m + parity + 2 * i) + static_cast<std::size_t>(k)] = values(i, k);
    }
}

void SpectralTaper::apply_to(std::size_t fields, float* values) const {
  const SpectralIndex& index = transform_->index();
  const auto mean = [&](std::span<const double> field) {
    double sum = 0;
    for (std::size_t row = 0; row < area_weights_.size(); ++row) {
      double of_row = 0;
      for (std::size_t x = 0; x < columns_; ++x) of_row += field[row * columns_ + x];
      sum += area_weights_[row] * of_row;
    }
    return sum;
  };
  std::vector<double> grid(values, values + fields * points_), spectral(fields * index.size() * 2), means;
  for (std::size_t f = 0; f < fields; ++f) {
    const auto field = std::span(grid).subspan(f * points_, points_);
    means.push_back(mean(field));
    for (double& value : field) value -= means.back();  // so that a large mean takes no digits from the waves
  }
  transform_->analyse(fields, grid, spectral);
  for (std::size_t f = 0; f < fields; ++f) {
    const auto coefficients = std::span(spectral).subspan(f * index.size() * 2, index.size() * 2);
    if (fit_) solve(Solve::whole, coefficients);
    for (int m = 0; m <= index.truncation(); ++m)
      for (int n = m; n <= index.truncation() + 1; ++n)
        for (std::size_t k = 0; k < 2; ++k) coefficients[2 * index(m, n) + k] *= weight(n);
  }
  transform_->synthesise(fields, spectral, grid);
  for (std::size_t f = 0; f < fields; ++f) {
    const auto field = std::span<const double>(grid).subspan(f * points_, points_);
    const double shift = means[f] - mean(field);
    for (std::size_t i = 0; i < points_; ++i) values[f * points_ + i] = static_cast<float>(field[i] + shift);
  }
}

void SpectralTaper::apply(std::span<float> fields) const {
  constexpr std::size_t together = 8;
  const std::size_t count = fields.size() / points_;
#pragma omp parallel for schedule(dynamic)
  for (std::size_t first = 0; first < count; first += together)
    apply_to(std::min(together, count - first), fields.data() + first * points_);
}

std::span<const double> SpectralTaper::quadrature_weights() const {
  return transform_->weights();
}

void SpectralTaper::smooth_fields(std::size_t fields, double* values) const {
  const SpectralIndex& index = transform_->index();
  const std::span grid(values, fields * points_);
  std::vector<double> spectral(fields * index.size() * 2);
  transform_->analyse(fields, grid, spectral);
  for (std::size_t f = 0; f < fields; ++f) {
    const auto coefficients = std::span(spectral).subspan(f * index.size() * 2, index.size() * 2);
    if (fit_) solve(Solve::lower, coefficients);
    for (int m = 0; m <= index.truncation(); ++m)
      for (int n = m; n <= index.truncation() + 1; ++n)
        for (std::size_t k = 0; k < 2; ++k) coefficients[2 * index(m, n) + k] *= weight(n);
    if (fit_) solve(Solve::upper, coefficients);
  }
  transform_->synthesise(fields, spectral, grid);
}

void SpectralTaper::smooth(std::span<double> fields) const {
  constexpr std::size_t together = 8;
  const std::size_t count = fields.size() / points_;
#pragma omp parallel for schedule(dynamic)
  for (std::size_t first = 0; first < count; first += together)
    smooth_fields(std::min(together, count - first), fields.data() + first * points_);
}

void SpectralTaper::scale_rows(std::span<double> fields, bool divide) const {
  const auto weights = transform_->weights();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const double weight = weights[i % points_ / columns_];
    fields[i] = divide ? fields[i] / weight : fields[i] * weight;
  }
}

void SpectralTaper::smooth_adjoint(std::span<double> fields) const {
  scale_rows(fields, true);
  smooth(fields);
  scale_rows(fields, false);
}

}  // namespace zonda::model
