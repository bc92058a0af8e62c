#include "model/dynamics/semi_implicit.hpp"

#include <Eigen/LU>

#include "core/constants.hpp"

namespace zonda::model {
namespace {

constexpr double kappa = constants::gas_constant_dry_air / constants::heat_capacity_dry_air;

double laplacian(int n) {
  return double(n) * (n + 1) / (constants::earth_radius * constants::earth_radius);
}

}  // namespace

SemiImplicit::SemiImplicit(const SigmaLevels& levels, int truncation) : levels_(levels), truncation_(truncation) {}

void SemiImplicit::geopotential(const double* temperature, double* out) const {
  const int L = levels_.count();
  const auto alpha = levels_.alpha(), ratio = levels_.log_ratio();
  for (int part = 0; part < 2; ++part) {
    double below = 0;
    for (int k = L - 1; k >= 0; --k) {
      const double t = temperature[part * L + k];
      out[part * L + k] = constants::gas_constant_dry_air * (below + alpha[k] * t);
      below += ratio[k] * t;
    }
  }
}

void SemiImplicit::compression(const double* divergence, double* out) const {
  const int L = levels_.count();
  const auto alpha = levels_.alpha(), ratio = levels_.log_ratio(), thickness = levels_.thickness();
  for (int part = 0; part < 2; ++part) {
    double above = 0;
    for (int k = 0; k < L; ++k) {
      const double d = divergence[part * L + k];
      out[part * L + k] = kappa * reference_temperature * (ratio[k] / thickness[k] * above + alpha[k] * d);
      above += thickness[k] * d;
    }
  }
}

double SemiImplicit::column(const double* divergence, int part) const {
  const int L = levels_.count();
  double sum = 0;
  for (int k = 0; k < L; ++k) sum += levels_.thickness()[k] * divergence[part * L + k];
  return sum;
}

// [1 + dt^2 n(n+1)/a^2 (G tau + R T nu)] dD = r_D + dt n(n+1)/a^2 (G r_T + R T r_p).
void SemiImplicit::set_time_step(double dt) {
  if (dt == dt_) return;
  dt_ = dt;
  const int L = levels_.count();
  Eigen::MatrixXd coupling(L, L);
  std::vector<double> unit(2 * L), warmed(2 * L), lifted(2 * L);
  for (int j = 0; j < L; ++j) {
    unit.assign(2 * L, 0.0);
    unit[j] = 1;
    compression(unit.data(), warmed.data());
    geopotential(warmed.data(), lifted.data());
    for (int k = 0; k < L; ++k)
      coupling(k, j) = lifted[k] + constants::gas_constant_dry_air * reference_temperature * levels_.thickness()[j];
  }
  inverse_.resize(std::size_t(truncation_ + 2) * L * L);
  for (int n = 0; n <= truncation_ + 1; ++n) {
    const Eigen::MatrixXd matrix = Eigen::MatrixXd::Identity(L, L) + dt * dt * laplacian(n) * coupling;
    Eigen::Map<Eigen::MatrixXd>(inverse_.data() + std::size_t(n) * L * L, L, L) = matrix.partialPivLu().inverse();
  }
}

void SemiImplicit::solve(int n, double* divergence, double* temperature, double* log_pressure, double* scratch) const {
  const int L = levels_.count();
  const double factor = dt_ * laplacian(n);
  geopotential(temperature, scratch);
  for (int part = 0; part < 2; ++part)
    for (int k = 0; k < L; ++k)
      scratch[part * L + k] =
          divergence[part * L + k] + factor * (scratch[part * L + k] + constants::gas_constant_dry_air *
                                                                           reference_temperature * log_pressure[part]);
  const double* inverse = inverse_.data() + std::size_t(n) * L * L;
  for (int part = 0; part < 2; ++part) {
    double* out = divergence + part * L;
    for (int k = 0; k < L; ++k) out[k] = 0;
    for (int j = 0; j < L; ++j) {
      const double x = scratch[part * L + j];
      for (int k = 0; k < L; ++k) out[k] += inverse[j * L + k] * x;
    }
  }
  double* cooling = scratch + 2 * L;
  compression(divergence, cooling);
  for (int k = 0; k < 2 * L; ++k) temperature[k] -= dt_ * cooling[k];
  for (int part = 0; part < 2; ++part) log_pressure[part] -= dt_ * column(divergence, part);
}

}  // namespace zonda::model
