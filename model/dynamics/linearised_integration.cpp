#include "model/dynamics/linearised_integration.hpp"

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "model/dynamics/linearised_update.hpp"
#include "model/dynamics/spectral_operators.hpp"
#include "model/spectral/transform_adjoint.hpp"

namespace zonda::model {
namespace {

using Series = std::vector<double>;

bool is_flat(const PrimitiveEquations& equations) {
  const auto ground = equations.surface_geopotential();
  return std::all_of(ground.begin(), ground.end(), [](double x) { return x == 0; });
}

/// One level of a spectral field as a series, and back (added).
void take_level(const std::vector<double>& field, std::size_t level, std::size_t levels, std::span<double> series) {
  for (std::size_t i = 0; i < series.size(); ++i) series[i] = field[i * levels + level];
}
void add_level(std::span<const double> series, std::size_t level, std::size_t levels, std::vector<double>& field) {
  for (std::size_t i = 0; i < series.size(); ++i) field[i * levels + level] += series[i];
}
/// Coefficients beyond the truncation, which only the wind has, become zero.
void truncate(const SpectralIndex& index, std::size_t levels, std::vector<double>& field) {
  for (int m = 0; m <= index.truncation(); ++m)
    std::fill_n(field.begin() + std::ptrdiff_t(index(m, index.truncation() + 1) * 2 * levels), 2 * levels, 0.0);
}
void truncate(const SpectralIndex& index, std::size_t levels, SpectralState& state) {
  for (auto* field : {&state.vorticity, &state.divergence, &state.temperature}) truncate(index, levels, *field);
  truncate(index, 1, state.log_pressure);
}

double laplacian(int n) {
  return double(n) * (n + 1) / (constants::earth_radius * constants::earth_radius);
}

}  // namespace

LinearisedIntegration::LinearisedIntegration(PrimitiveEquations& equations)
    : equations_(equations),
      transform_(equations.transform()),
      levels_(std::size_t(equations.parameters().levels.count())),
      fields_(transform_, levels_, equations.parameters().moist),
      first_(std::make_unique<LinearisedUpdate>(equations.parameters(), is_flat(equations),
                                                equations.parameters().time_step / 2, false)),
      later_(std::make_unique<LinearisedUpdate>(equations.parameters(), is_flat(equations),
                                                equations.parameters().time_step, true)) {
  if (equations.parameters().moist)
    fail(ErrorKind::usage, "moist physics has no tangent and adjoint; the dry atmosphere has");
  for (const double sine : transform_.sines()) cosines_.push_back(std::sqrt((1 - sine) * (1 + sine)));
}

LinearisedIntegration::~LinearisedIntegration() = default;

SpectralState LinearisedIntegration::empty() const {
  return SpectralState(transform_.index().size(), int(levels_), false);
}

// ------------------------------------------------------------------ linear steps between spaces

void LinearisedIntegration::to_grid(const SpectralState& state, std::vector<double>& input) const {
  const SpectralIndex& index = transform_.index();
  const std::size_t size = index.size() * 2, L = levels_;
  Series series(input_series() * size);
  const auto of = [&](std::size_t s) { return std::span(series).subspan(s * size, size); };
  for (std::size_t k = 0; k < L; ++k) {
    wind_series(index, k, L, state.vorticity, state.divergence, of(k), of(L + k));
    take_level(state.vorticity, k, L, of(2 * L + k));
    take_level(state.divergence, k, L, of(3 * L + k));
    take_level(state.temperature, k, L, of(4 * L + k));
  }
  take_level(state.log_pressure, 0, 1, of(5 * L));
  gradient_series(index, state.log_pressure, of(5 * L + 1), of(5 * L + 2));
  input.resize(input_series() * points());
  transform_.synthesise(input_series(), series, input);
}

void LinearisedIntegration::to_grid_adjoint(const std::vector<double>& input, SpectralState& state) const {
  const SpectralIndex& index = transform_.index();
  const std::size_t size = index.size() * 2, L = levels_;
  Series series(input_series() * size);
  synthesise_adjoint(transform_, input_series(), input, series);
  const auto of = [&](std::size_t s) { return std::span<const double>(series).subspan(s * size, size); };
  for (std::size_t k = 0; k < L; ++k) {
    wind_series_adjoint(index, k, L, of(k), of(L + k), state.vorticity, state.divergence);
    add_level(of(2 * L + k), k, L, state.vorticity);
    add_level(of(3 * L + k), k, L, state.divergence);
    add_level(of(4 * L + k), k, L, state.temperature);
  }
  add_level(of(5 * L), 0, 1, state.log_pressure);
  gradient_series_adjoint(index, of(5 * L + 1), of(5 * L + 2), state.log_pressure);
  truncate(index, L, state);
}

void LinearisedIntegration::to_tendency(const std::vector<double>& output, SpectralState& tendency) const {
  const SpectralIndex& index = transform_.index();
  const std::size_t size = index.size() * 2, L = levels_;
  Series series(output_series() * size), flux(size);
  transform_.analyse(output_series(), output, series);
  const auto of = [&](std::size_t s) { return std::span<const double>(series).subspan(s * size, size); };
  for (std::size_t k = 0; k < L; ++k) {
    flux_curl(index, k, L, of(k), of(L + k), tendency.vorticity);
    flux_divergence(index, k, L, of(k), of(L + k), tendency.divergence);
    flux_divergence(index, 0, 1, of(3 * L + k), of(4 * L + k), flux);
    for (int m = 0; m <= index.truncation(); ++m)
      for (int n = m; n <= index.truncation(); ++n)
        for (std::size_t i = 2 * index(m, n); i < 2 * index(m, n) + 2; ++i) {
          tendency.divergence[i * L + k] += laplacian(n) * of(2 * L + k)[i];
          tendency.temperature[i * L + k] = of(5 * L + k)[i] - flux[i];
        }
  }
  std::copy(of(6 * L).begin(), of(6 * L).end(), tendency.log_pressure.begin());
}

void LinearisedIntegration::to_tendency_adjoint(const SpectralState& tendency, std::vector<double>& output) const {
  const SpectralIndex& index = transform_.index();
  const std::size_t size = index.size() * 2, L = levels_;
  Series series(output_series() * size), flux(size);
  const auto of = [&](std::size_t s) { return std::span(series).subspan(s * size, size); };
  for (std::size_t k = 0; k < L; ++k) {
    flux_curl_adjoint(index, k, L, tendency.vorticity, of(k), of(L + k));
    flux_divergence_adjoint(index, k, L, tendency.divergence, of(k), of(L + k));
    for (int m = 0; m <= index.truncation(); ++m)
      for (int n = m; n <= index.truncation(); ++n)
        for (std::size_t i = 2 * index(m, n); i < 2 * index(m, n) + 2; ++i) {
          of(2 * L + k)[i] = laplacian(n) * tendency.divergence[i * L + k];
          of(5 * L + k)[i] = tendency.temperature[i * L + k];
          flux[i] = -tendency.temperature[i * L + k];
        }
    flux_divergence_adjoint(index, 0, 1, flux, of(3 * L + k), of(4 * L + k));
  }
  for (int m = 0; m <= index.truncation(); ++m)
    for (int n = m; n <= index.truncation(); ++n)
      for (std::size_t i = 2 * index(m, n); i < 2 * index(m, n) + 2; ++i) of(6 * L)[i] = tendency.log_pressure[i];
  output.resize(output_series() * points());
  analyse_adjoint(transform_, output_series(), series, output);
}

void LinearisedIntegration::fields_to_state(std::span<const double> fields, SpectralState& state) const {
  const SpectralIndex& index = transform_.index();
  const std::size_t size = index.size() * 2, L = levels_, count = 3 * L + 1, columns = std::size_t(transform_.nlon());
  std::vector<double> grid(fields.begin(), fields.end());
  for (std::size_t i = 0; i < 2 * L * points(); ++i) grid[i] /= cosines_[i % points() / columns];
  for (std::size_t i = 0; i < points(); ++i) grid[3 * L * points() + i] /= first_pressure_[i];
  Series series(count * size);
  transform_.analyse(count, grid, series);
  const auto of = [&](std::size_t s) { return std::span<const double>(series).subspan(s * size, size); };
  for (std::size_t k = 0; k < L; ++k) {
    flux_curl(index, k, L, of(k), of(L + k), state.vorticity);
    flux_divergence(index, k, L, of(k), of(L + k), state.divergence);
    add_level(of(2 * L + k), k, L, state.temperature);
  }
  add_level(of(3 * L), 0, 1, state.log_pressure);
  truncate(index, L, state);
}

void LinearisedIntegration::fields_to_state_adjoint(const SpectralState& state, std::span<double> fields) const {
  const SpectralIndex& index = transform_.index();
  const std::size_t size = index.size() * 2, L = levels_, count = 3 * L + 1, columns = std::size_t(transform_.nlon());
  Series series(count * size);
  const auto of = [&](std::size_t s) { return std::span(series).subspan(s * size, size); };
  for (std::size_t k = 0; k < L; ++k) {
    flux_curl_adjoint(index, k, L, state.vorticity, of(k), of(L + k));
    flux_divergence_adjoint(index, k, L, state.divergence, of(k), of(L + k));
    take_level(state.temperature, k, L, of(2 * L + k));
  }
  take_level(state.log_pressure, 0, 1, of(3 * L));
  analyse_adjoint(transform_, count, series, fields);
  for (std::size_t i = 0; i < 2 * L * points(); ++i) fields[i] /= cosines_[i % points() / columns];
  for (std::size_t i = 0; i < points(); ++i) fields[3 * L * points() + i] /= first_pressure_[i];
}

void LinearisedIntegration::state_to_fields(const SpectralState& state, std::span<double> fields) const {
  const SpectralIndex& index = transform_.index();
  const std::size_t size = index.size() * 2, L = levels_, count = 3 * L + 1, columns = std::size_t(transform_.nlon());
  Series series(count * size);
  const auto of = [&](std::size_t s) { return std::span(series).subspan(s * size, size); };
  for (std::size_t k = 0; k < L; ++k) {
    wind_series(index, k, L, state.vorticity, state.divergence, of(k), of(L + k));
    take_level(state.temperature, k, L, of(2 * L + k));
  }
  take_level(state.log_pressure, 0, 1, of(3 * L));
  transform_.synthesise(count, series, fields);
  for (std::size_t i = 0; i < 2 * L * points(); ++i) fields[i] /= cosines_[i % points() / columns];
  for (std::size_t i = 0; i < points(); ++i) fields[3 * L * points() + i] *= last_pressure_[i];
}

void LinearisedIntegration::state_to_fields_adjoint(std::span<const double> fields, SpectralState& state) const {
  const SpectralIndex& index = transform_.index();
  const std::size_t size = index.size() * 2, L = levels_, count = 3 * L + 1, columns = std::size_t(transform_.nlon());
  std::vector<double> grid(fields.begin(), fields.end());
  for (std::size_t i = 0; i < 2 * L * points(); ++i) grid[i] /= cosines_[i % points() / columns];
  for (std::size_t i = 0; i < points(); ++i) grid[3 * L * points() + i] *= last_pressure_[i];
  Series series(count * size);
  synthesise_adjoint(transform_, count, grid, series);
  const auto of = [&](std::size_t s) { return std::span<const double>(series).subspan(s * size, size); };
  for (std::size_t k = 0; k < L; ++k) {
    wind_series_adjoint(index, k, L, of(k), of(L + k), state.vorticity, state.divergence);
    add_level(of(2 * L + k), k, L, state.temperature);
  }
  add_level(of(3 * L), 0, 1, state.log_pressure);
  truncate(index, L, state);
}

// ------------------------------------------------------------------ the grid

template <class Body>
void LinearisedIntegration::over_points(const Moment& at, Body&& body) const {
  const std::size_t L = levels_, columns = std::size_t(transform_.nlon()), plane = points();
  LinearisedTendencies tendencies(equations_.parameters().levels, equations_.parameters().forcing);
  ColumnInput input;
  for (std::size_t i = 0; i < plane; ++i) {
    if (i % columns == 0) tendencies.set_row(transform_.sines()[i / columns], at.season);
    const auto gather = [&](std::size_t first, ColumnLevels& to) {
      for (std::size_t k = 0; k < L; ++k) to[k] = at.input[(first + k) * plane + i];
    };
    gather(0, input.u);
    gather(L, input.v);
    gather(2 * L, input.vorticity);
    gather(3 * L, input.divergence);
    gather(4 * L, input.temperature);
    input.log_pressure = at.input[5 * L * plane + i];
    input.dp_dlon = at.input[(5 * L + 1) * plane + i];
    input.dp_dmu = at.input[(5 * L + 2) * plane + i];
    body(i, tendencies, input);
  }
}

double LinearisedIntegration::mass_change(const Moment& at, std::span<const double> log_pressure) const {
  const std::size_t columns = std::size_t(transform_.nlon()), first = 5 * levels_ * points();
  double change = 0;
  for (std::size_t i = 0; i < points(); ++i)
    change += 0.5 * transform_.weights()[i / columns] / double(columns) * reference_pressure *
              std::exp(at.input[first + i]) * log_pressure[i];
  return change;
}

void LinearisedIntegration::mass_change_adjoint(const Moment& at, double mass, std::span<double> log_pressure) const {
  const std::size_t columns = std::size_t(transform_.nlon()), first = 5 * levels_ * points();
  for (std::size_t i = 0; i < points(); ++i)
    log_pressure[i] += 0.5 * transform_.weights()[i / columns] / double(columns) * reference_pressure *
                       std::exp(at.input[first + i]) * mass;
}

LinearisedIntegration::Moment LinearisedIntegration::moment_of(const SpectralState& state, Time time) const {
  Moment moment;
  to_grid(state, moment.input);
  const CoreParameters& parameters = equations_.parameters();
  if (parameters.season_amplitude != 0) moment.season = season_sine(time, parameters.season_amplitude);
  moment.mass = equations_.dry_pressure(state);
  return moment;
}

void LinearisedIntegration::run(std::span<double> fields, Time start, std::int64_t steps) {
  SpectralState state = empty();
  fields_.analyse(fields, state);
  first_pressure_.assign(fields.end() - std::ptrdiff_t(points()), fields.end());
  equations_.start(std::move(state), start);
  moments_.clear();
  for (std::int64_t n = 0; n < steps; ++n) {
    moments_.push_back(moment_of(equations_.latest(), equations_.time()));
    equations_.step();
  }
  moments_.push_back(moment_of(equations_.latest(), equations_.time()));
  fields_.synthesise(equations_.present(), fields);
  last_pressure_.assign(fields.end() - std::ptrdiff_t(points()), fields.end());
}

// ------------------------------------------------------------------ the integration

void LinearisedIntegration::tangent(std::span<double> fields) const {
  const std::size_t plane = points(), L = levels_, pressure = 5 * L * plane;
  const bool fix_mass = equations_.parameters().fix_mass;
  TimeLevels levels{empty(), empty()};
  fields_to_state(fields, levels.now);
  levels.previous = levels.now;
  std::vector<double> input, output(output_series() * plane);
  SpectralState tendency = empty();
  double first_mass = 0;
  const auto correct = [&](std::size_t n) {
    if (!fix_mass) return;
    const double mass = mass_change(moments_[n], std::span(input).subspan(pressure, plane));
    if (n == 0) first_mass = mass;
    levels.now.log_pressure[0] += first_mass / moments_[0].mass - mass / moments_[n].mass;
  };
  for (std::size_t n = 0; n + 1 < moments_.size(); ++n) {
    to_grid(levels.now, input);
    over_points(moments_[n], [&](std::size_t i, const LinearisedTendencies& tendencies, const ColumnInput& at) {
      ColumnInput change;
      ColumnOutput out;
      const auto gather = [&](std::size_t first, ColumnLevels& to) {
        for (std::size_t k = 0; k < L; ++k) to[k] = input[(first + k) * plane + i];
      };
      gather(0, change.u);
      gather(L, change.v);
      gather(2 * L, change.vorticity);
      gather(3 * L, change.divergence);
      gather(4 * L, change.temperature);
      change.log_pressure = input[pressure + i];
      change.dp_dlon = input[pressure + plane + i];
      change.dp_dmu = input[pressure + 2 * plane + i];
      tendencies.tangent(at, change, out);
      const ColumnLevels* of[] = {&out.force_u, &out.force_v, &out.energy, &out.heat_u, &out.heat_v, &out.heating};
      for (std::size_t s = 0; s < 6; ++s)
        for (std::size_t k = 0; k < L; ++k) output[(s * L + k) * plane + i] = (*of[s])[k];
      output[6 * L * plane + i] = out.log_pressure;
    });
    correct(n);
    to_tendency(output, tendency);
    update(n).tangent(tendency, levels);
  }
  to_grid(levels.now, input);
  correct(moments_.size() - 1);
  state_to_fields(levels.now, fields);
}

void LinearisedIntegration::adjoint(std::span<double> fields) const {
  const std::size_t plane = points(), L = levels_, pressure = 5 * L * plane;
  const bool fix_mass = equations_.parameters().fix_mass;
  TimeLevels levels{empty(), empty()};
  state_to_fields_adjoint(fields, levels.now);
  std::vector<double> input(input_series() * plane), output;
  SpectralState tendency = empty();
  double first_mass = 0;
  const auto correct = [&](std::size_t n) {
    if (!fix_mass) return;
    const double shift = levels.now.log_pressure[0];
    first_mass += shift / moments_[0].mass;
    double mass = -shift / moments_[n].mass;
    if (n == 0) mass += first_mass;
    mass_change_adjoint(moments_[n], mass, std::span(input).subspan(pressure, plane));
  };
  std::fill(input.begin(), input.end(), 0.0);
  correct(moments_.size() - 1);
  to_grid_adjoint(input, levels.now);
  for (std::size_t n = moments_.size() - 1; n-- > 0;) {
    update(n).adjoint(levels, tendency);
    to_tendency_adjoint(tendency, output);
    over_points(moments_[n], [&](std::size_t i, const LinearisedTendencies& tendencies, const ColumnInput& at) {
      ColumnOutput out;
      ColumnLevels* of[] = {&out.force_u, &out.force_v, &out.energy, &out.heat_u, &out.heat_v, &out.heating};
      for (std::size_t s = 0; s < 6; ++s)
        for (std::size_t k = 0; k < L; ++k) (*of[s])[k] = output[(s * L + k) * plane + i];
      out.log_pressure = output[6 * L * plane + i];
      ColumnInput sensitivity;
      tendencies.adjoint(at, out, sensitivity);
      const ColumnLevels* from[] = {&sensitivity.u, &sensitivity.v, &sensitivity.vorticity, &sensitivity.divergence,
                                    &sensitivity.temperature};
      for (std::size_t s = 0; s < 5; ++s)
        for (std::size_t k = 0; k < L; ++k) input[(s * L + k) * plane + i] = (*from[s])[k];
      input[pressure + i] = sensitivity.log_pressure;
      input[pressure + plane + i] = sensitivity.dp_dlon;
      input[pressure + 2 * plane + i] = sensitivity.dp_dmu;
    });
    correct(n);
    to_grid_adjoint(input, levels.now);
  }
  const auto add = [](std::vector<double>& to, const std::vector<double>& more) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += more[i];
  };
  add(levels.now.vorticity, levels.previous.vorticity);
  add(levels.now.divergence, levels.previous.divergence);
  add(levels.now.temperature, levels.previous.temperature);
  add(levels.now.log_pressure, levels.previous.log_pressure);
  fields_to_state_adjoint(levels.now, fields);
}

}  // namespace zonda::model
