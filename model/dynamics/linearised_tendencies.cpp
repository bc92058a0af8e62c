#include "model/dynamics/linearised_tendencies.hpp"

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "model/dynamics/semi_implicit.hpp"

namespace zonda::model {
namespace {

using namespace constants;
constexpr double kappa = gas_constant_dry_air / heat_capacity_dry_air, push = gas_constant_dry_air / earth_radius;

}  // namespace

LinearisedTendencies::LinearisedTendencies(const SigmaLevels& levels, const std::optional<HeldSuarez>& forcing)
    : levels_(levels), forcing_(forcing), count_(std::size_t(levels.count())) {
  if (count_ > most_levels) fail(ErrorKind::usage, "{} sigma levels; expected at most {}", count_, most_levels);
  for (std::size_t k = 0; k < count_; ++k) {
    const double thickness = levels.thickness()[k], sigma = levels.full()[k];
    level_[k] = {levels.half()[k],
                 levels.half()[k + 1],
                 thickness,
                 levels.log_ratio()[k],
                 levels.alpha()[k],
                 k == 0 ? 0.0 : 0.5 / thickness,
                 k + 1 == count_ ? 0.0 : 0.5 / thickness,
                 std::log(sigma),
                 std::pow(sigma, kappa),
                 0};
  }
}

void LinearisedTendencies::set_row(double sine, double season_sine) {
  const double cosine_squared = (1 - sine) * (1 + sine);
  inverse_cosine_squared_ = 1 / cosine_squared;
  coriolis_ = 2 * earth_rotation * sine;
  if (!forcing_) return;
  const double offset = sine - season_sine;
  surface_value_ = forcing_->equator_temperature - forcing_->pole_difference * offset * offset;
  stability_ = forcing_->stability * cosine_squared;
  for (std::size_t k = 0; k < count_; ++k) {
    const double near_ground = std::max(0.0, (levels_.full()[k] - forcing_->boundary) / (1 - forcing_->boundary));
    level_[k].relaxation = forcing_->cooling_rate + (forcing_->surface_cooling_rate - forcing_->cooling_rate) *
                                                        near_ground * cosine_squared * cosine_squared;
  }
}

void LinearisedTendencies::sum_up(const ColumnInput& at, Sums& sums) const {
  const double metric = inverse_cosine_squared_ / earth_radius;
  for (std::size_t k = 0; k < count_; ++k) {
    sums.advection[k] = (at.u[k] * at.dp_dlon + at.v[k] * at.dp_dmu) * metric;
    sums.sum[k] = (k ? sums.sum[k - 1] : 0) + (at.divergence[k] + sums.advection[k]) * level_[k].thickness;
  }
  const double total = sums.sum[count_ - 1];
  for (std::size_t k = 0; k < count_; ++k) {
    sums.rise_up[k] = (level_[k].above * total - (k ? sums.sum[k - 1] : 0)) * level_[k].above_weight;
    sums.rise_down[k] = (level_[k].below * total - sums.sum[k]) * level_[k].below_weight;
  }
}

double LinearisedTendencies::lifting(const Level& level, double advection, double above, double here) const {
  return advection - (level.log_ratio * above + level.alpha * (here - above)) / level.thickness;
}

double LinearisedTendencies::pressure_slope(std::size_t k, const ColumnInput& at) const {
  if (!forcing_) return 0;
  const double value = surface_value_ - stability_ * (at.log_pressure + level_[k].log_sigma);
  const double power = std::exp(kappa * at.log_pressure) * level_[k].sigma_power;
  return value * power > forcing_->stratosphere ? level_[k].relaxation * power * (kappa * value - stability_) : 0;
}

void LinearisedTendencies::tangent(const ColumnInput& at, const ColumnInput& change, ColumnOutput& out) const {
  Sums sums;
  sum_up(at, sums);
  ColumnLevels advection, sum;
  const double c2 = inverse_cosine_squared_, metric = c2 / earth_radius;
  for (std::size_t k = 0; k < count_; ++k) {
    advection[k] =
        (change.u[k] * at.dp_dlon + at.u[k] * change.dp_dlon + change.v[k] * at.dp_dmu + at.v[k] * change.dp_dmu) *
        metric;
    sum[k] = (k ? sum[k - 1] : 0) + (change.divergence[k] + advection[k]) * level_[k].thickness;
  }
  const double total = sum[count_ - 1];
  out.log_pressure = -total;
  for (std::size_t k = 0; k < count_; ++k) {
    const Level& level = level_[k];
    const std::size_t up = k ? k - 1 : k, down = k + 1 < count_ ? k + 1 : k;
    const double above = k ? sum[k - 1] : 0, at_above = k ? sums.sum[k - 1] : 0;
    const double rise_up = (level.above * total - above) * level.above_weight,
                 rise_down = (level.below * total - sum[k]) * level.below_weight;
    const auto carried = [&](const ColumnLevels& x, const ColumnLevels& dx) {
      return rise_up * (x[k] - x[up]) + sums.rise_up[k] * (dx[k] - dx[up]) + rise_down * (x[down] - x[k]) +
             sums.rise_down[k] * (dx[down] - dx[k]);
    };
    const double absolute = at.vorticity[k] + coriolis_, t = at.temperature[k], dt = change.temperature[k];
    out.force_u[k] = c2 * (change.vorticity[k] * at.v[k] + absolute * change.v[k] - carried(at.u, change.u) -
                           push * (dt * at.dp_dlon + t * change.dp_dlon));
    out.force_v[k] = c2 * (-change.vorticity[k] * at.u[k] - absolute * change.u[k] - carried(at.v, change.v) -
                           push * (dt * at.dp_dmu + t * change.dp_dmu));
    out.energy[k] = c2 * (at.u[k] * change.u[k] + at.v[k] * change.v[k]);
    out.heat_u[k] = c2 * (change.u[k] * t + at.u[k] * dt);
    out.heat_v[k] = c2 * (change.v[k] * t + at.v[k] * dt);
    out.heating[k] = dt * at.divergence[k] + t * change.divergence[k] - carried(at.temperature, change.temperature) +
                     kappa * (dt * lifting(level, sums.advection[k], at_above, sums.sum[k]) +
                              (t + reference_temperature) * lifting(level, advection[k], above, sum[k])) -
                     level.relaxation * dt + pressure_slope(k, at) * change.log_pressure;
  }
}

void LinearisedTendencies::adjoint(const ColumnInput& at, const ColumnOutput& out, ColumnInput& sensitivity) const {
  Sums sums;
  sum_up(at, sums);
  ColumnInput& s = sensitivity;
  s = {};
  ColumnLevels advection{}, sum{};
  double total = -out.log_pressure;
  const double c2 = inverse_cosine_squared_, metric = c2 / earth_radius;
  for (std::size_t k = 0; k < count_; ++k) {
    const Level& level = level_[k];
    const std::size_t up = k ? k - 1 : k, down = k + 1 < count_ ? k + 1 : k;
    const double at_above = k ? sums.sum[k - 1] : 0;
    const double fu = c2 * out.force_u[k], fv = c2 * out.force_v[k], e = c2 * out.energy[k], hu = c2 * out.heat_u[k],
                 hv = c2 * out.heat_v[k], h = out.heating[k];
    double rise_up = 0, rise_down = 0;
    const auto carried = [&](const ColumnLevels& x, double of, ColumnLevels& to) {
      rise_up -= of * (x[k] - x[up]);
      rise_down -= of * (x[down] - x[k]);
      to[k] += of * (sums.rise_down[k] - sums.rise_up[k]);
      to[up] += of * sums.rise_up[k];
      to[down] -= of * sums.rise_down[k];
    };
    carried(at.u, fu, s.u);
    carried(at.v, fv, s.v);
    carried(at.temperature, h, s.temperature);
    const double absolute = at.vorticity[k] + coriolis_, t = at.temperature[k];
    s.vorticity[k] += fu * at.v[k] - fv * at.u[k];
    s.v[k] += fu * absolute + e * at.v[k] + hv * t;
    s.u[k] += -fv * absolute + e * at.u[k] + hu * t;
    s.temperature[k] +=
        -push * (fu * at.dp_dlon + fv * at.dp_dmu) + hu * at.u[k] + hv * at.v[k] +
        h * (at.divergence[k] + kappa * lifting(level, sums.advection[k], at_above, sums.sum[k]) - level.relaxation);
    s.dp_dlon -= push * t * fu;
    s.dp_dmu -= push * t * fv;
    s.divergence[k] += h * t;
    s.log_pressure += pressure_slope(k, at) * h;
    const double lift = kappa * h * (t + reference_temperature);
    advection[k] += lift;
    sum[k] -= lift * level.alpha / level.thickness + level.below_weight * rise_down;
    if (k) sum[k - 1] -= lift * (level.log_ratio - level.alpha) / level.thickness + level.above_weight * rise_up;
    total += level.above * level.above_weight * rise_up + level.below * level.below_weight * rise_down;
  }
  sum[count_ - 1] += total;
  for (std::size_t k = count_; k-- > 0;) {
    s.divergence[k] += level_[k].thickness * sum[k];
    advection[k] += level_[k].thickness * sum[k];
    if (k) sum[k - 1] += sum[k];
  }
  for (std::size_t k = 0; k < count_; ++k) {
    const double a = metric * advection[k];
    s.u[k] += a * at.dp_dlon;
    s.v[k] += a * at.dp_dmu;
    s.dp_dlon += a * at.u[k];
    s.dp_dmu += a * at.v[k];
  }
}

}  // namespace zonda::model
