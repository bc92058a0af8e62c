#include "assimilation/models/quasi_geostrophic.hpp"

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

Vector hartley_matrix(std::size_t n) {
  Vector matrix(n * n);
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < n; ++i) {
      const double angle = 2 * constants::pi * static_cast<double>(k * i % n) / static_cast<double>(n);
      matrix[k * n + i] = (std::cos(angle) + std::sin(angle)) / std::sqrt(static_cast<double>(n));
    }
  return matrix;
}

/// Eigenvalue of the second difference with spacing h.
double second_difference(std::size_t k, std::size_t n, double h) {
  const double s = std::sin(constants::pi * static_cast<double>(k) / static_cast<double>(n));
  return -4 * s * s / (h * h);
}

/// body(row, column, column east, column west, row north, row south) for each point; rows as offsets.
template <class Body>
void over_plane(std::size_t nx, std::size_t ny, Body&& body) {
  for (std::size_t j = 0; j < ny; ++j) {
    const std::size_t north = (j + 1 == ny ? 0 : j + 1) * nx, south = (j == 0 ? ny - 1 : j - 1) * nx;
    for (std::size_t i = 0; i < nx; ++i)
      body(j * nx, i, i + 1 == nx ? 0 : i + 1, i == 0 ? nx - 1 : i - 1, north, south);
  }
}

}  // namespace

QuasiGeostrophic::QuasiGeostrophic(const QuasiGeostrophicConfig& config)
    : config_(config),
      dx_(config.length_x / static_cast<double>(config.nx)),
      dy_(config.length_y / static_cast<double>(config.ny)),
      coupling_(1 / (config.deformation_radius * config.deformation_radius)),
      hartley_x_(hartley_matrix(config.nx)),
      hartley_y_(hartley_matrix(config.ny)),
      barotropic_(layer_size()),
      baroclinic_(layer_size()) {
  if (config.nx < 4 || config.ny < 4 || !(config.length_x > 0) || !(config.length_y > 0) ||
      !(config.deformation_radius > 0))
    fail(ErrorKind::usage, "quasi-geostrophic grid of {}x{} points, expected at least 4x4 and positive lengths",
         config.nx, config.ny);
  for (std::size_t l = 0; l < config.ny; ++l)
    for (std::size_t k = 0; k < config.nx; ++k) {
      const double laplacian = second_difference(k, config.nx, dx_) + second_difference(l, config.ny, dy_);
      barotropic_[l * config.nx + k] = k + l == 0 ? 0 : 1 / laplacian;
      baroclinic_[l * config.nx + k] = 1 / (laplacian - 2 * coupling_);
    }
}

double QuasiGeostrophic::mean_gradient(std::size_t l) const {
  return config_.beta + 2 * coupling_ * mean_wind(l);
}

Position QuasiGeostrophic::position(std::size_t index) const {
  const std::size_t point = index % layer_size();
  return {static_cast<double>(point % config_.nx) * dx_, static_cast<double>(point / config_.nx) * dy_,
          static_cast<double>(index / layer_size())};
}

void QuasiGeostrophic::hartley(View field) const {
  const std::size_t nx = config_.nx, ny = config_.ny;
  Vector rows(layer_size());
  for (std::size_t j = 0; j < ny; ++j)
    for (std::size_t i = 0; i < nx; ++i) {
      const double value = field[j * nx + i];
      for (std::size_t k = 0; k < nx; ++k) rows[j * nx + k] += hartley_x_[i * nx + k] * value;
    }
  std::fill(field.begin(), field.end(), 0);
  for (std::size_t l = 0; l < ny; ++l)
    for (std::size_t j = 0; j < ny; ++j) {
      const double factor = hartley_y_[l * ny + j];
      for (std::size_t k = 0; k < nx; ++k) field[l * nx + k] += factor * rows[j * nx + k];
    }
}

void QuasiGeostrophic::stream_function(ConstView vorticity, View psi) const {
  const std::size_t n = layer_size();
  for (std::size_t i = 0; i < n; ++i) {
    psi[i] = (vorticity[i] + vorticity[n + i]) / 2;
    psi[n + i] = (vorticity[i] - vorticity[n + i]) / 2;
  }
  for (std::size_t l = 0; l < 2; ++l) {
    const View mode = layer(psi, l);
    const Vector& inverse = l == 0 ? barotropic_ : baroclinic_;
    hartley(mode);
    for (std::size_t i = 0; i < n; ++i) mode[i] *= inverse[i];
    hartley(mode);
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double mean = psi[i], half_difference = psi[n + i];
    psi[i] = mean + half_difference;
    psi[n + i] = mean - half_difference;
  }
}

void QuasiGeostrophic::add_jacobian(double factor, ConstView a, ConstView b, View out) const {
  const double scaled = factor / (12 * dx_ * dy_);
  over_plane(config_.nx, config_.ny,
             [&](std::size_t row, std::size_t i, std::size_t e, std::size_t w, std::size_t n, std::size_t s) {
               const double fluxes = a[row + e] * (b[n + i] + b[n + e] - b[s + i] - b[s + e]) -
                                     a[row + w] * (b[n + i] + b[n + w] - b[s + i] - b[s + w]) +
                                     a[n + i] * (b[row + w] + b[n + w] - b[row + e] - b[n + e]) -
                                     a[s + i] * (b[row + w] + b[s + w] - b[row + e] - b[s + e]) +
                                     a[n + e] * (b[n + i] - b[row + e]) + a[s + w] * (b[s + i] - b[row + w]) +
                                     a[n + w] * (b[row + w] - b[n + i]) + a[s + e] * (b[row + e] - b[s + i]);
               out[row + i] += scaled * fluxes;
             });
}

void QuasiGeostrophic::add_x_derivative(double factor, ConstView a, View out) const {
  over_plane(config_.nx, config_.ny,
             [&](std::size_t row, std::size_t i, std::size_t e, std::size_t w, std::size_t, std::size_t) {
               out[row + i] += factor * (a[row + e] - a[row + w]) / (2 * dx_);
             });
}

void QuasiGeostrophic::add_laplacian(double factor, ConstView a, View out) const {
  const double x = factor / (dx_ * dx_), y = factor / (dy_ * dy_);
  over_plane(config_.nx, config_.ny,
             [&](std::size_t row, std::size_t i, std::size_t e, std::size_t w, std::size_t n, std::size_t s) {
               out[row + i] +=
                   x * (a[row + e] - 2 * a[row + i] + a[row + w]) + y * (a[n + i] - 2 * a[row + i] + a[s + i]);
             });
}

void QuasiGeostrophic::add_diffusion(ConstView a, View out) const {
  Vector laplacian(a.size());
  add_laplacian(1, a, laplacian);
  add_laplacian(-config_.viscosity, laplacian, out);
}

void QuasiGeostrophic::add_linear(ConstView q, ConstView psi, View rate) const {
  for (std::size_t l = 0; l < 2; ++l) {
    add_x_derivative(-mean_wind(l), layer(q, l), layer(rate, l));
    add_x_derivative(-mean_gradient(l), layer(psi, l), layer(rate, l));
    add_diffusion(layer(q, l), layer(rate, l));
  }
  add_laplacian(-config_.drag, layer(psi, 1), layer(rate, 1));
}

void QuasiGeostrophic::evaluate(ConstView q, View rate) const {
  Vector psi(size());
  stream_function(q, psi);
  std::fill(rate.begin(), rate.end(), 0);
  add_linear(q, psi, rate);
  for (std::size_t l = 0; l < 2; ++l) add_jacobian(-1, layer(ConstView(psi), l), layer(q, l), layer(rate, l));
}

void QuasiGeostrophic::tangent(ConstView q, ConstView dq, View rate) const {
  Vector psi(size()), dpsi(size());
  stream_function(q, psi);
  stream_function(dq, dpsi);
  std::fill(rate.begin(), rate.end(), 0);
  add_linear(dq, dpsi, rate);
  for (std::size_t l = 0; l < 2; ++l) {
    add_jacobian(-1, layer(ConstView(psi), l), layer(dq, l), layer(rate, l));
    add_jacobian(-1, layer(ConstView(dpsi), l), layer(q, l), layer(rate, l));
  }
}

void QuasiGeostrophic::adjoint(ConstView q, ConstView r, View sensitivity) const {
  Vector psi(size()), to_psi(size()), through_psi(size());
  stream_function(q, psi);
  std::fill(sensitivity.begin(), sensitivity.end(), 0);
  for (std::size_t l = 0; l < 2; ++l) {
    const ConstView rate = layer(r, l);
    const View to_q = layer(sensitivity, l), to_psi_l = layer(View(to_psi), l);
    add_jacobian(1, layer(ConstView(psi), l), rate, to_q);
    add_jacobian(-1, layer(q, l), rate, to_psi_l);
    add_x_derivative(mean_wind(l), rate, to_q);
    add_x_derivative(mean_gradient(l), rate, to_psi_l);
    add_diffusion(rate, to_q);
  }
  add_laplacian(-config_.drag, layer(r, 1), layer(View(to_psi), 1));
  stream_function(to_psi, through_psi);
  axpy(1, through_psi, sensitivity);
}

double QuasiGeostrophic::triple(ConstView c, ConstView a, ConstView b) const {
  Vector jacobian(layer_size());
  add_jacobian(dx_ * dy_, a, b, jacobian);
  return dot(c, jacobian);
}

}  // namespace zonda::assimilation
