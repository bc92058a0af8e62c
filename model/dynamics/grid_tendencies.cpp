#include "model/dynamics/grid_tendencies.hpp"

#include "core/constants.hpp"
#include "core/vectorise.hpp"
#include "model/dynamics/semi_implicit.hpp"
#include "model/spectral/lanes.hpp"

namespace zonda::model {
namespace {

using namespace constants;
constexpr double kappa = gas_constant_dry_air / heat_capacity_dry_air;
constexpr double virtual_factor = gas_constant_vapour / gas_constant_dry_air - 1;

struct Rows {
  Lanes inverse_cosine_squared[2], coriolis[2];
};

/// Convergence: sums[k] = sum of (D + v . grad ln ps) over the layers above and with k, advection[k] = v . grad ln ps.
ZONDA_CLONES void continuity(int levels, std::size_t points, const double* thickness, const Rows& rows,
                             const BlockInput& in, double* sums, double* advection, double* tendency) {
  const std::size_t groups = points / lanes;
  const Lanes* pl = as_lanes(in.dp_dlon);
  const Lanes* pm = as_lanes(in.dp_dmu);
  for (int k = 0; k < levels; ++k) {
    const std::size_t plane = std::size_t(k) * points;
    const Lanes* u = as_lanes(in.u + plane);
    const Lanes* v = as_lanes(in.v + plane);
    const Lanes* d = as_lanes(in.divergence + plane);
    const Lanes* above = as_lanes(sums + plane - (k ? points : 0));
    Lanes* sum = as_lanes(sums + plane);
    Lanes* adv = as_lanes(advection + plane);
    const double ds = thickness[k];
    for (std::size_t i = 0; i < groups; ++i) {
      const Lanes a = (u[i] * pl[i] + v[i] * pm[i]) * (rows.inverse_cosine_squared[i & 1] * (1 / earth_radius));
      const Lanes c = (d[i] + a) * ds;
      adv[i] = a;
      sum[i] = k ? above[i] + c : c;
    }
  }
  const Lanes* total = as_lanes(sums + std::size_t(levels - 1) * points);
  Lanes* out = as_lanes(tendency);
  for (std::size_t i = 0; i < groups; ++i) out[i] = -total[i];
}

struct Level {
  double above, below;  ///< sigma of the half levels
  double thickness, log_ratio, alpha;
  bool first, last;
};

ZONDA_CLONES void one_level(const Level& level, std::size_t points, int k, int levels, const Rows& rows,
                            const BlockInput& in, const BlockOutput& out, const double* sums, const double* advection,
                            double wind_limit, bool* wind_bad, bool* temperature_bad) {
  const std::size_t groups = points / lanes, plane = std::size_t(k) * points;
  const std::size_t up = level.first ? 0 : points, down = level.last ? 0 : points;
  const bool moist = in.humidity != nullptr;
  const Lanes *u = as_lanes(in.u + plane), *u_up = as_lanes(in.u + plane - up), *u_down = as_lanes(in.u + plane + down);
  const Lanes *v = as_lanes(in.v + plane), *v_up = as_lanes(in.v + plane - up), *v_down = as_lanes(in.v + plane + down);
  const Lanes *t = as_lanes(in.temperature + plane), *t_up = as_lanes(in.temperature + plane - up),
              *t_down = as_lanes(in.temperature + plane + down);
  const double* humidity = moist ? in.humidity : in.temperature;
  const Lanes *q = as_lanes(humidity + plane), *q_up = as_lanes(humidity + plane - up),
              *q_down = as_lanes(humidity + plane + down);
  const Lanes *vorticity = as_lanes(in.vorticity + plane), *divergence = as_lanes(in.divergence + plane);
  const Lanes *pl = as_lanes(in.dp_dlon), *pm = as_lanes(in.dp_dmu);
  const Lanes *sum = as_lanes(sums + plane), *sum_up = as_lanes(sums + plane - up),
              *total = as_lanes(sums + std::size_t(levels - 1) * points), *adv = as_lanes(advection + plane);
  Lanes *force_u = as_lanes(out.force_u + plane), *force_v = as_lanes(out.force_v + plane),
        *energy = as_lanes(out.energy + plane);
  Lanes *heat_u = as_lanes(out.heat_u + plane), *heat_v = as_lanes(out.heat_v + plane),
        *heating = as_lanes(out.heating + plane);
  Lanes *vapour_u = as_lanes(moist ? out.vapour_u + plane : nullptr),
        *vapour_v = as_lanes(moist ? out.vapour_v + plane : nullptr),
        *moistening = as_lanes(moist ? out.moistening + plane : nullptr);
  const double half = 0.5 / level.thickness, per_thickness = 1 / level.thickness, limit = 0.5 * wind_limit * wind_limit;
  const double above_weight = level.first ? 0.0 : half, below_weight = level.last ? 0.0 : half;
  LaneMask wind = {}, temperature = {};
  for (std::size_t i = 0; i < groups; ++i) {
    const Lanes c2 = rows.inverse_cosine_squared[i & 1];
    const Lanes s_up = level.first ? Lanes{} : sum_up[i];
    // sigma dot on the half levels above and below, over twice the thickness
    const Lanes rise_up = (level.above * total[i] - s_up) * above_weight;
    const Lanes rise_down = (level.below * total[i] - sum[i]) * below_weight;
    const Lanes absolute = vorticity[i] + rows.coriolis[i & 1];
    const Lanes dry = t[i] + reference_temperature;
    const Lanes t_virtual = moist ? dry * (1 + virtual_factor * q[i]) : dry;
    const Lanes push = (t_virtual - reference_temperature) * (gas_constant_dry_air / earth_radius);
    const Lanes fu = absolute * v[i] - rise_up * (u[i] - u_up[i]) - rise_down * (u_down[i] - u[i]) - push * pl[i];
    const Lanes fv = -absolute * u[i] - rise_up * (v[i] - v_up[i]) - rise_down * (v_down[i] - v[i]) - push * pm[i];
    force_u[i] = fu * c2;
    force_v[i] = fv * c2;
    const Lanes kinetic = 0.5 * (u[i] * u[i] + v[i] * v[i]) * c2;
    energy[i] = kinetic;
    const Lanes ut = u[i] * c2, vt = v[i] * c2;
    heat_u[i] = ut * t[i];
    heat_v[i] = vt * t[i];
    const Lanes lifting = adv[i] - (level.log_ratio * s_up + level.alpha * (sum[i] - s_up)) * per_thickness;
    heating[i] = t[i] * divergence[i] - rise_up * (t[i] - t_up[i]) - rise_down * (t_down[i] - t[i]) +
                 kappa * t_virtual * lifting;
    if (moist) {
      vapour_u[i] = ut * q[i];
      vapour_v[i] = vt * q[i];
      moistening[i] = q[i] * divergence[i] - rise_up * (q[i] - q_up[i]) - rise_down * (q_down[i] - q[i]);
    }
    wind |= ~(kinetic <= limit);
    temperature |= ~((dry >= 50.0) & (dry <= 500.0));
  }
  for (int b = 0; b < lanes; ++b) {
    *wind_bad = *wind_bad || wind[b];
    *temperature_bad = *temperature_bad || temperature[b];
  }
}

/// The geopotential that vapour adds (virtual temperature less temperature), into `energy`.
ZONDA_CLONES void virtual_geopotential(int levels, std::size_t points, const double* alpha, const double* log_ratio,
                                       const BlockInput& in, double* energy, double* below) {
  const std::size_t groups = points / lanes;
  Lanes* sum = as_lanes(below);
  for (std::size_t i = 0; i < groups; ++i) sum[i] = Lanes{};
  for (int k = levels - 1; k >= 0; --k) {
    const std::size_t plane = std::size_t(k) * points;
    const Lanes *t = as_lanes(in.temperature + plane), *q = as_lanes(in.humidity + plane);
    Lanes* e = as_lanes(energy + plane);
    for (std::size_t i = 0; i < groups; ++i) {
      const Lanes added = gas_constant_dry_air * virtual_factor * (t[i] + reference_temperature) * q[i];
      e[i] += sum[i] + alpha[k] * added;
      sum[i] += log_ratio[k] * added;
    }
  }
}

}  // namespace

BlockGuard dynamics_tendencies(const SigmaLevels& levels, std::size_t nlon, const BlockRows& rows, const BlockInput& in,
                               const BlockOutput& out, double wind_limit, double* scratch) {
  const std::size_t points = nlon * 16;
  const int L = levels.count();
  Rows constants_of_rows;
  for (int h = 0; h < 2; ++h) {
    constants_of_rows.inverse_cosine_squared[h] = *as_lanes(rows.inverse_cosine_squared.data() + 8 * h);
    constants_of_rows.coriolis[h] = *as_lanes(rows.coriolis.data() + 8 * h);
  }
  double* sums = scratch;
  double* advection = scratch + std::size_t(L) * points;
  continuity(L, points, levels.thickness().data(), constants_of_rows, in, sums, advection, out.log_pressure);
  BlockGuard guard;
  for (int k = 0; k < L; ++k) {
    const std::size_t s = std::size_t(k);
    const Level level{
        levels.half()[s], levels.half()[s + 1], levels.thickness()[s], levels.log_ratio()[s], levels.alpha()[s], k == 0,
        k == L - 1};
    bool wind = false, temperature = false;
    one_level(level, points, k, L, constants_of_rows, in, out, sums, advection, wind_limit, &wind, &temperature);
    if (wind) guard.wind |= 1ULL << k;
    if (temperature) guard.temperature |= 1ULL << k;
  }
  if (in.humidity)
    virtual_geopotential(L, points, levels.alpha().data(), levels.log_ratio().data(), in, out.energy, scratch);
  return guard;
}

}  // namespace zonda::model
