#include "model/dynamics/linearised_update.hpp"

#include <Eigen/LU>
#include <cmath>

#include "core/constants.hpp"

namespace zonda::model {
namespace {

using namespace constants;
constexpr double ground_factor = gas_constant_dry_air * reference_temperature;

double laplacian(int n) {
  return double(n) * (n + 1) / (earth_radius * earth_radius);
}

/// body(n, coefficient, part) of all coefficients up to the truncation.
template <class Body>
void over_coefficients(const SpectralIndex& index, Body&& body) {
  for (int m = 0; m <= index.truncation(); ++m)
    for (int n = m; n <= index.truncation(); ++n)
      for (std::size_t part = 0; part < 2; ++part) body(n, index(m, n), part);
}

/// The levels of one coefficient's part.
auto column(const std::vector<double>& field, std::size_t i, Eigen::Index levels) {
  return Eigen::Map<const Eigen::VectorXd>(field.data() + std::ptrdiff_t(i) * levels, levels);
}
auto column(std::vector<double>& field, std::size_t i, Eigen::Index levels) {
  return Eigen::Map<Eigen::VectorXd>(field.data() + std::ptrdiff_t(i) * levels, levels);
}

}  // namespace

LinearisedUpdate::LinearisedUpdate(const CoreParameters& parameters, bool flat, double half_interval, bool filter)
    : parameters_(parameters),
      index_(parameters.truncation),
      half_(half_interval),
      interval_(2 * half_interval),
      nu_(filter ? 0.5 * parameters.filter_strength : 0.0),
      alpha_(parameters.filter_partition) {
  const int L = parameters.levels.count();
  const SemiImplicit semi_implicit(parameters.levels, parameters.truncation);
  geopotential_.resize(L, L);
  compression_.resize(L, L);
  thickness_.resize(L);
  std::vector<double> unit(std::size_t(2 * L)), out(unit.size());
  for (int j = 0; j < L; ++j) {
    std::fill(unit.begin(), unit.end(), 0.0);
    unit[std::size_t(j)] = 1;
    semi_implicit.geopotential(unit.data(), out.data());
    for (int k = 0; k < L; ++k) geopotential_(k, j) = out[std::size_t(k)];
    semi_implicit.compression(unit.data(), out.data());
    for (int k = 0; k < L; ++k) compression_(k, j) = out[std::size_t(k)];
    thickness_(j) = parameters.levels.thickness()[std::size_t(j)];
  }
  const Eigen::MatrixXd coupling =
      geopotential_ * compression_ + ground_factor * Vector::Ones(L) * thickness_.transpose();
  for (int n = 0; n <= parameters.truncation; ++n)
    inverse_.push_back(
        (Eigen::MatrixXd::Identity(L, L) + half_ * half_ * laplacian(n) * coupling).partialPivLu().inverse());
  friction_.resize(L);
  slope_.resize(L);
  for (int k = 0; k < L; ++k) {
    const double sigma = parameters.levels.full()[std::size_t(k)];
    friction_(k) = parameters.forcing ? parameters.forcing->friction(sigma) : 0.0;
    slope_(k) = flat ? 0.0 : standard_slope(sigma);
  }
  diffusion_ = diffusion_rates(parameters);
}

void LinearisedUpdate::tangent(const SpectralState& tendency, TimeLevels& levels) const {
  const Eigen::Index L = thickness_.size();
  SpectralState &previous = levels.previous, &now = levels.now;
  over_coefficients(index_, [&](int n, std::size_t c, std::size_t part) {
    const std::size_t i = 2 * c + part;
    const double lap = laplacian(n), damping = diffusion_[std::size_t(n)] * interval_;
    const Vector difference = column(previous.divergence, i, L) - column(now.divergence, i, L);
    const Vector warming = interval_ * (column(tendency.temperature, i, L) - compression_ * difference);
    const double filling = interval_ * (tendency.log_pressure[i] - thickness_.dot(difference));
    const Vector right = interval_ * (column(tendency.divergence, i, L) +
                                      lap * (geopotential_ * column(previous.temperature, i, L) +
                                             Vector::Constant(L, ground_factor * previous.log_pressure[i]))) +
                         half_ * lap * (geopotential_ * warming + Vector::Constant(L, ground_factor * filling));
    const Vector gained = inverse_[std::size_t(n)] * right;
    const double pressure = previous.log_pressure[i] + filling - half_ * thickness_.dot(gained);
    const Vector wind = (1 / ((1 + damping) * (1 + interval_ * friction_.array()))).matrix();
    const Vector vorticity =
        (column(previous.vorticity, i, L) + interval_ * column(tendency.vorticity, i, L)).cwiseProduct(wind);
    const Vector divergence = (column(previous.divergence, i, L) + gained).cwiseProduct(wind);
    const Vector temperature =
        (column(previous.temperature, i, L) + warming - half_ * (compression_ * gained) + damping * pressure * slope_) /
        (1 + damping);
    const auto replace = [&](auto&& before, auto&& present, const auto& fresh) {
      const auto d = (nu_ * (before - 2 * present + fresh)).eval();
      before = present + alpha_ * d;
      present = fresh - (1 - alpha_) * d;
    };
    replace(column(previous.vorticity, i, L), column(now.vorticity, i, L), vorticity);
    replace(column(previous.divergence, i, L), column(now.divergence, i, L), divergence);
    replace(column(previous.temperature, i, L), column(now.temperature, i, L), temperature);
    replace(column(previous.log_pressure, i, 1), column(now.log_pressure, i, 1), Vector::Constant(1, pressure));
  });
}

void LinearisedUpdate::adjoint(TimeLevels& levels, SpectralState& tendency) const {
  const Eigen::Index L = thickness_.size();
  SpectralState &previous = levels.previous, &now = levels.now;
  over_coefficients(index_, [&](int n, std::size_t c, std::size_t part) {
    const std::size_t i = 2 * c + part;
    const double lap = laplacian(n), damping = diffusion_[std::size_t(n)] * interval_;
    /// Sensitivity to the fresh state; before and present become those to what they were.
    const auto replaced = [&](auto&& before, auto&& present) {
      const Vector d = alpha_ * before - (1 - alpha_) * present, fresh = present + nu_ * d;
      present = before - 2 * nu_ * d;
      before = nu_ * d;
      return fresh;
    };
    const Vector wind = (1 / ((1 + damping) * (1 + interval_ * friction_.array()))).matrix();
    const Vector vorticity = replaced(column(previous.vorticity, i, L), column(now.vorticity, i, L)).cwiseProduct(wind);
    Vector gained = replaced(column(previous.divergence, i, L), column(now.divergence, i, L)).cwiseProduct(wind);
    Vector warming = replaced(column(previous.temperature, i, L), column(now.temperature, i, L)) / (1 + damping);
    double pressure = replaced(column(previous.log_pressure, i, 1), column(now.log_pressure, i, 1))(0);

    column(previous.vorticity, i, L) += vorticity;
    column(tendency.vorticity, i, L) = interval_ * vorticity;
    column(previous.divergence, i, L) += gained;
    column(previous.temperature, i, L) += warming;
    pressure += damping * slope_.dot(warming);
    gained -= half_ * (compression_.transpose() * warming) + half_ * pressure * thickness_;
    previous.log_pressure[i] += pressure;
    double filling = pressure;
    const Vector right = inverse_[std::size_t(n)].transpose() * gained;
    warming += half_ * lap * (geopotential_.transpose() * right);
    filling += half_ * lap * ground_factor * right.sum();
    column(tendency.divergence, i, L) = interval_ * right;
    column(previous.temperature, i, L) += interval_ * lap * (geopotential_.transpose() * right);
    previous.log_pressure[i] += interval_ * lap * ground_factor * right.sum();
    column(tendency.temperature, i, L) = interval_ * warming;
    tendency.log_pressure[i] = interval_ * filling;
    const Vector difference = -interval_ * (compression_.transpose() * warming + filling * thickness_);
    column(previous.divergence, i, L) += difference;
    column(now.divergence, i, L) -= difference;
  });
}

}  // namespace zonda::model
