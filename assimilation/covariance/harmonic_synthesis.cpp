#include "assimilation/covariance/harmonic_synthesis.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "model/spectral/row_quadrature.hpp"
#include "model/spectral/spherical_transform.hpp"

namespace zonda::assimilation {
namespace {

/// Rows at the poles move off them a little, to where the components of a wind have their limits.
Vector rows_off_the_poles(const Grid& grid) {
  Vector rows(grid.latitudes().begin(), grid.latitudes().end());
  for (double& row : rows) row = std::clamp(row, -90 + 1e-3, 90 - 1e-3);
  return rows;
}

}  // namespace

int HarmonicSynthesis::representable(const Grid& grid) {
  return std::min(static_cast<int>(grid.nlat()) - 1, (static_cast<int>(grid.nlon()) - 1) / 2);
}

int HarmonicSynthesis::resolved(const Grid& grid) {
  return std::min(representable(grid), model::exact_degree(grid) / 2);
}

HarmonicSynthesis::HarmonicSynthesis(const Grid& grid, int truncation)
    : truncation_(truncation), points_(grid.size()), columns_(grid.nlon()) {
  if (grid.kind() == GridKind::regional)
    fail(ErrorKind::usage, "spectral covariance: the grid {} is not global, and has no spherical harmonics",
         grid.to_string());
  if (truncation < 1 || truncation > representable(grid))
    fail(ErrorKind::usage, "spectral covariance: truncation {}, expected 1 to {} on the grid {}", truncation,
         representable(grid), grid.to_string());
  const Vector rows = rows_off_the_poles(grid);
  for (const double weight : model::row_quadrature(grid))
    quadrature_.push_back(weight / (2 * static_cast<double>(columns_)));
  for (const double row : rows) secant_.push_back(1 / std::cos(row * constants::pi / 180));
  // Analysis with equal weights is the transpose of synthesis, up to factors.
  const Vector equal(rows.size(), 2 / static_cast<double>(rows.size()));
  transform_ = std::make_unique<model::SphericalTransform>(truncation, rows, static_cast<int>(grid.nlon()), equal);
}

HarmonicSynthesis::~HarmonicSynthesis() = default;
HarmonicSynthesis::HarmonicSynthesis(HarmonicSynthesis&&) noexcept = default;

std::size_t HarmonicSynthesis::place(int m, int n, int part) const {
  return static_cast<std::size_t>(n) * static_cast<std::size_t>(n) +
         static_cast<std::size_t>(m == 0 ? 0 : 2 * m - 1 + part);
}

void HarmonicSynthesis::scalar(std::size_t fields, ConstView coefficients, View grid) const {
  const model::SpectralIndex& index = transform_->index();
  Vector spectral(fields * index.size() * 2);
  for (std::size_t f = 0; f < fields; ++f)
    for (int m = 0; m <= truncation_; ++m)
      for (int n = m; n <= truncation_; ++n)
        for (int part = 0; part < (m == 0 ? 1 : 2); ++part)
          spectral[(f * index.size() + index(m, n)) * 2 + static_cast<std::size_t>(part)] =
              coefficients[f * this->coefficients() + place(m, n, part)] / (m == 0 ? 1 : std::numbers::sqrt2);
  transform_->synthesise(fields, spectral, grid);
}

void HarmonicSynthesis::scalar_adjoint(std::size_t fields, ConstView grid, View coefficients) const {
  const model::SpectralIndex& index = transform_->index();
  Vector spectral(fields * index.size() * 2);
  transform_->analyse(fields, grid, spectral);
  const double points = static_cast<double>(points_);
  for (std::size_t f = 0; f < fields; ++f)
    for (int m = 0; m <= truncation_; ++m)
      for (int n = m; n <= truncation_; ++n)
        for (int part = 0; part < (m == 0 ? 1 : 2); ++part)
          coefficients[f * this->coefficients() + place(m, n, part)] =
              points * (m == 0 ? 1 : std::numbers::sqrt2) *
              spectral[(f * index.size() + index(m, n)) * 2 + static_cast<std::size_t>(part)];
}

/// With D the coefficients of cos(phi) d/dphi, (D x)_n = (n + 2) eps_{n+1} x_{n+1} - (n - 1) eps_n x_{n-1}:
/// u cos phi = (i m chi - D psi) / a, v cos phi = (i m psi + D chi) / a.
void HarmonicSynthesis::wind(std::size_t levels, ConstView psi, ConstView chi, View u, View v) const {
  const model::SpectralIndex& index = transform_->index();
  const std::size_t size = index.size() * 2;
  Vector spectral(2 * levels * size), grid(2 * levels * points_);
  for (std::size_t k = 0; k < levels; ++k) {
    const auto read = [&](ConstView field, int m, int n, int part) {
      if (n < m || n > truncation_ || (m == 0 && part == 1)) return 0.0;
      return field[k * coefficients() + place(m, n, part)] / (m == 0 ? 1 : std::numbers::sqrt2);
    };
    const auto derivative = [&](ConstView field, int m, int n, int part) {
      const double above = n <= truncation_ ? (n + 2) * index.epsilon(m, n + 1) * read(field, m, n + 1, part) : 0;
      return above - (n - 1) * index.epsilon(m, n) * read(field, m, n - 1, part);
    };
    for (int m = 0; m <= truncation_; ++m)
      for (int n = m; n <= truncation_ + 1; ++n)
        for (int part = 0; part < 2; ++part) {
          const double zonal = (part == 0 ? -m : m) / constants::earth_radius;
          const std::size_t at = index(m, n) * 2 + static_cast<std::size_t>(part);
          spectral[k * size + at] =
              zonal * read(chi, m, n, 1 - part) - derivative(psi, m, n, part) / constants::earth_radius;
          spectral[(levels + k) * size + at] =
              zonal * read(psi, m, n, 1 - part) + derivative(chi, m, n, part) / constants::earth_radius;
        }
  }
  transform_->synthesise(2 * levels, spectral, grid);
  for (std::size_t i = 0; i < levels * points_; ++i) {
    const double secant = secant_[i % points_ / columns_];
    u[i] = secant * grid[i];
    v[i] = secant * grid[levels * points_ + i];
  }
}

void HarmonicSynthesis::wind_adjoint(std::size_t levels, ConstView u, ConstView v, View psi, View chi) const {
  const model::SpectralIndex& index = transform_->index();
  const std::size_t size = index.size() * 2;
  Vector spectral(2 * levels * size), grid(2 * levels * points_);
  for (std::size_t i = 0; i < levels * points_; ++i) {
    const double secant = secant_[i % points_ / columns_];
    grid[i] = secant * u[i];
    grid[levels * points_ + i] = secant * v[i];
  }
  transform_->analyse(2 * levels, grid, spectral);
  for (std::size_t k = 0; k < levels; ++k)
    for (int m = 0; m <= truncation_; ++m) {
      const double scale = static_cast<double>(points_) * (m == 0 ? 1 : std::numbers::sqrt2) / constants::earth_radius;
      const auto read = [&](std::size_t series, int n, int part) {
        return n < m ? 0 : spectral[series * size + index(m, n) * 2 + static_cast<std::size_t>(part)];
      };
      // The transpose of D: (D^T y)_n = (n + 1) eps_n y_{n-1} - n eps_{n+1} y_{n+1}.
      const auto transposed = [&](std::size_t series, int n, int part) {
        return (n + 1) * index.epsilon(m, n) * read(series, n - 1, part) -
               n * index.epsilon(m, n + 1) * read(series, n + 1, part);
      };
      for (int n = m; n <= truncation_; ++n)
        for (int part = 0; part < (m == 0 ? 1 : 2); ++part) {
          const double zonal = part == 0 ? m : -m;
          const std::size_t at = k * coefficients() + place(m, n, part);
          psi[at] = scale * (zonal * read(levels + k, n, 1 - part) - transposed(k, n, part));
          chi[at] = scale * (zonal * read(k, n, 1 - part) + transposed(levels + k, n, part));
        }
    }
}

Vector HarmonicSynthesis::weighted(std::size_t fields, ConstView grid) const {
  Vector result(fields * points_);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = quadrature_[i % points_ / columns_] * grid[i];
  return result;
}

void HarmonicSynthesis::analyse(std::size_t fields, ConstView grid, View coefficients) const {
  scalar_adjoint(fields, weighted(fields, grid), coefficients);
}

/// Winds of different harmonics are orthogonal, with mean square n (n + 1) / a^2.
void HarmonicSynthesis::analyse_wind(std::size_t levels, ConstView u, ConstView v, View psi, View chi) const {
  wind_adjoint(levels, weighted(levels, u), weighted(levels, v), psi, chi);
  for (std::size_t k = 0; k < levels; ++k)
    for (std::size_t n = 0, i = 0; n <= static_cast<std::size_t>(truncation_); ++n)
      for (; i < (n + 1) * (n + 1); ++i) {
        const double factor = n == 0 ? 0
                                     : constants::earth_radius * constants::earth_radius /
                                           (static_cast<double>(n) * static_cast<double>(n + 1));
        psi[k * coefficients() + i] *= factor;
        chi[k * coefficients() + i] *= factor;
      }
}

/// b_n = (n - 1) / n eps_n psi_{n-1} + (n + 2) / (n + 1) eps_{n+1} psi_{n+1}
void HarmonicSynthesis::balance(ConstView psi, View b) const {
  const model::SpectralIndex& index = transform_->index();
  std::fill(b.begin(), b.end(), 0);
  for (int m = 0; m <= truncation_; ++m)
    for (int n = std::max(m, 1); n <= truncation_; ++n)
      for (int part = 0; part < (m == 0 ? 1 : 2); ++part) {
        double sum = 0;
        if (n > m && n > 1) sum += (n - 1.0) / n * index.epsilon(m, n) * psi[place(m, n - 1, part)];
        if (n < truncation_) sum += (n + 2.0) / (n + 1) * index.epsilon(m, n + 1) * psi[place(m, n + 1, part)];
        b[place(m, n, part)] = sum;
      }
}

void HarmonicSynthesis::balance_adjoint(ConstView b, View psi) const {
  const model::SpectralIndex& index = transform_->index();
  std::fill(psi.begin(), psi.end(), 0);
  for (int m = 0; m <= truncation_; ++m)
    for (int n = std::max(m, 1); n <= truncation_; ++n)
      for (int part = 0; part < (m == 0 ? 1 : 2); ++part) {
        const double value = b[place(m, n, part)];
        if (n > m && n > 1) psi[place(m, n - 1, part)] += (n - 1.0) / n * index.epsilon(m, n) * value;
        if (n < truncation_) psi[place(m, n + 1, part)] += (n + 2.0) / (n + 1) * index.epsilon(m, n + 1) * value;
      }
}

}  // namespace zonda::assimilation
