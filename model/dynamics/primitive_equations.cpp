#include "model/dynamics/primitive_equations.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "model/dynamics/moist_physics.hpp"
#include "model/dynamics/spectral_wind.hpp"

namespace zonda::model {
namespace {

using namespace constants;
constexpr double kappa = gas_constant_dry_air / heat_capacity_dry_air;

}  // namespace

double standard_slope(double sigma) {
  const double lapse = 0.0065 * gas_constant_dry_air / gravity;
  return sigma < 0.2234 ? 0.0 : 288.15 * std::pow(sigma, lapse) * lapse;
}

std::vector<double> diffusion_rates(const CoreParameters& parameters) {
  const double largest = double(parameters.truncation) * (parameters.truncation + 1);
  std::vector<double> rates;
  for (int n = 0; n <= parameters.truncation + 1; ++n)
    rates.push_back(parameters.diffusion_time > 0
                        ? std::pow(n * (n + 1) / largest, parameters.diffusion_order / 2) / parameters.diffusion_time
                        : 0.0);
  return rates;
}

SpectralState::SpectralState(std::size_t coefficients, int levels, bool moist)
    : vorticity(coefficients * 2 * std::size_t(levels)),
      divergence(vorticity.size()),
      temperature(vorticity.size()),
      humidity(moist ? vorticity.size() : 0),
      log_pressure(coefficients * 2) {}

struct PrimitiveEquations::Work {
  std::size_t inputs, outputs;  ///< series
  std::vector<double> spectral_in, spectral_out, fourier_in, fourier_out;
  struct Thread {
    std::vector<double> in, out, scratch, line, physics, column;
  };
  std::vector<Thread> threads;
  std::vector<double> row_mass;         ///< [nlat], sum over the row of dry surface pressure
  std::vector<BlockGuard> guard;        ///< [block]
  std::vector<double> friction, slope;  ///< [level]
  std::vector<double> diffusion;        ///< [n], 1/s
};

PrimitiveEquations::PrimitiveEquations(CoreParameters parameters, std::vector<double> surface_geopotential)
    : parameters_(std::move(parameters)),
      transform_(parameters_.truncation),
      semi_implicit_(parameters_.levels, parameters_.truncation),
      surface_geopotential_(std::move(surface_geopotential)),
      work_(std::make_unique<Work>()) {
  const std::size_t L = std::size_t(parameters_.levels.count());
  if (L > 64) fail(ErrorKind::usage, "{} sigma levels; expected at most 64", L);
  if (surface_geopotential_.size() != index().size() * 2)
    fail(ErrorKind::usage, "surface geopotential has {} numbers; expected {}", surface_geopotential_.size(),
         index().size() * 2);
  Work& w = *work_;
  w.inputs = 5 * L + 3 + (parameters_.moist ? 3 * L + 1 : 0);
  w.outputs = 6 * L + 1 + (parameters_.moist ? 3 * L : 0);
  w.spectral_in.resize(transform_.spectral_size(w.inputs));
  w.spectral_out.resize(transform_.spectral_size(w.outputs));
  w.fourier_in.resize(transform_.fourier_size(w.inputs));
  w.fourier_out.resize(transform_.fourier_size(w.outputs));
  // Below T63 a step is shorter than what threads on a busy machine lose at its barriers; and more threads than blocks
  // of rows would only wait.
  if (parameters_.threads == 0)
    parameters_.threads = parameters_.truncation < 63 ? 1 : std::min(omp_get_max_threads(), transform_.blocks());
  const std::size_t points = std::size_t(transform_.nlon()) * 16;
  w.threads.resize(std::size_t(parameters_.threads));
  for (Work::Thread& t : w.threads) {
    t.in.resize(transform_.block_size(w.inputs));
    t.out.resize(transform_.block_size(w.outputs));
    t.scratch.resize(2 * L * points);
    t.line.resize(transform_.work_size());
    t.physics.resize(4 * points);
    t.column.resize(14 * L);
  }
  w.row_mass.resize(std::size_t(transform_.nlat()));
  w.guard.resize(std::size_t(transform_.blocks()));
  for (std::size_t k = 0; k < L; ++k) {
    const double sigma = parameters_.levels.full()[k];
    w.friction.push_back(parameters_.forcing ? parameters_.forcing->friction(sigma) : 0.0);
    w.slope.push_back(standard_slope(sigma));
  }
  const bool flat =
      std::all_of(surface_geopotential_.begin(), surface_geopotential_.end(), [](double x) { return x == 0; });
  if (flat) std::fill(w.slope.begin(), w.slope.end(), 0.0);
  w.diffusion = diffusion_rates(parameters_);
  for (int b = 0; b < transform_.blocks(); ++b) {
    BlockRows rows;
    for (int member = 0; member < 16; ++member) {
      const int row = transform_.row(b, member);
      const std::size_t i = std::size_t(member);
      rows.sine[i] = row < 0 ? 0.0 : transform_.sines()[std::size_t(row)];
      rows.cosine_squared[i] = (1 - rows.sine[i]) * (1 + rows.sine[i]);
      rows.inverse_cosine_squared[i] = 1 / rows.cosine_squared[i];
      rows.coriolis[i] = 2 * earth_rotation * rows.sine[i];
    }
    rows_.push_back(rows);
  }
  if (parameters_.moist) rain_.assign(std::size_t(transform_.blocks()) * points, 0.0);
}

PrimitiveEquations::~PrimitiveEquations() = default;

void PrimitiveEquations::start(SpectralState initial, Time time) {
  now_ = std::move(initial);
  previous_ = now_;
  steps_ = 0;
  start_ = time;
  dry_mass_ = dry_pressure(now_);
  std::fill(rain_.begin(), rain_.end(), 0.0);
}

Time PrimitiveEquations::time() const {
  return start_ + std::chrono::seconds(std::llround(double(steps_) * parameters_.time_step));
}

void PrimitiveEquations::step() {
  if (steps_ == 0)
    advance(parameters_.time_step / 2, false);  // previous = now: a forward step over one interval
  else
    advance(parameters_.time_step, true);
  ++steps_;
}

// From previous_ over two half intervals to the new state; previous_ becomes the filtered present one.
void PrimitiveEquations::advance(double half_interval, bool filter) {
  semi_implicit_.set_time_step(half_interval);
  const int T = parameters_.truncation, blocks = transform_.blocks();
  Work& w = *work_;
#pragma omp parallel num_threads(parameters_.threads)
  {
    const int thread = omp_get_thread_num();
#pragma omp for schedule(dynamic)
    for (int m = 0; m <= T; ++m) {
      prepare(m);
      transform_.legendre_synthesis(m, w.inputs, w.spectral_in.data(), w.fourier_in.data());
    }
#pragma omp for schedule(dynamic)
    for (int b = 0; b < blocks; ++b) block(b, half_interval, thread);
#pragma omp single
    correct_mass();
#pragma omp for schedule(dynamic)
    for (int m = 0; m <= T; ++m) {
      transform_.legendre_analysis(m, w.outputs, w.fourier_out.data(), w.spectral_out.data());
      update(m, half_interval, filter, thread);
    }
  }
  check_guard();
}

// Series of the input: u v vorticity divergence temperature | (humidity, old temperature, old humidity) | ln ps and its
// two derivatives | (old ln ps).
void PrimitiveEquations::prepare(int m) {
  Work& w = *work_;
  const std::size_t L = std::size_t(parameters_.levels.count()), stride = SphericalTransform::padded(w.inputs);
  const SpectralIndex& at = index();
  const int T = parameters_.truncation;
  for (int n = m; n <= T + 1; ++n) {
    const std::size_t c = at(m, n);
    double* target = w.spectral_in.data() + c * stride;
    wind_coefficients(at, m, n, L, now_.vorticity.data(), now_.divergence.data(), target, target + L, w.inputs);
    for (std::size_t part = 0; part < 2; ++part) {
      double* out = target + part * w.inputs;
      const std::size_t from = (c * 2 + part) * L;
      std::copy_n(now_.vorticity.data() + from, L, out + 2 * L);
      std::copy_n(now_.divergence.data() + from, L, out + 3 * L);
      std::copy_n(now_.temperature.data() + from, L, out + 4 * L);
      std::size_t s = 5 * L;
      if (parameters_.moist) {
        std::copy_n(now_.humidity.data() + from, L, out + 5 * L);
        std::copy_n(previous_.temperature.data() + from, L, out + 6 * L);
        std::copy_n(previous_.humidity.data() + from, L, out + 7 * L);
        s = 8 * L;
        out[s + 3] = previous_.log_pressure[c * 2 + part];
      }
      out[s] = now_.log_pressure[c * 2 + part];
      out[s + 1] = part == 0 ? -m * now_.log_pressure[c * 2 + 1] : m * now_.log_pressure[c * 2];
      const double above = n <= T ? (n + 2) * at.epsilon(m, n + 1) * now_.log_pressure[(c + 1) * 2 + part] : 0.0;
      const double below = n > m ? (n - 1) * at.epsilon(m, n) * now_.log_pressure[(c - 1) * 2 + part] : 0.0;
      out[s + 2] = above - below;
    }
  }
}

void PrimitiveEquations::block(int b, double half_interval, int thread) {
  Work& w = *work_;
  Work::Thread& t = w.threads[std::size_t(thread)];
  const SigmaLevels& levels = parameters_.levels;
  const std::size_t L = std::size_t(levels.count()), columns = std::size_t(transform_.nlon()), points = columns * 16;
  const BlockRows& rows = rows_[std::size_t(b)];
  transform_.fourier_synthesis(b, w.inputs, w.fourier_in.data(), t.in.data(), t.line.data());
  const auto input = [&](std::size_t series) { return t.in.data() + series * points; };
  const auto output = [&](std::size_t series) { return t.out.data() + series * points; };

  const std::size_t p = parameters_.moist ? 8 * L : 5 * L;
  const BlockInput in{input(0),     input(L),     input(2 * L),
                      input(3 * L), input(4 * L), parameters_.moist ? input(5 * L) : nullptr,
                      input(p),     input(p + 1), input(p + 2)};
  BlockOutput out{output(0),     output(L), output(2 * L), output(3 * L), output(4 * L),
                  output(5 * L), nullptr,   nullptr,       nullptr,       output(6 * L)};
  if (parameters_.moist) {
    out.vapour_u = output(6 * L);
    out.vapour_v = output(7 * L);
    out.moistening = output(8 * L);
    out.log_pressure = output(9 * L);
  }
  w.guard[std::size_t(b)] =
      dynamics_tendencies(levels, columns, rows, in, out, parameters_.wind_limit, t.scratch.data());

  double* pressure = t.physics.data();
  double* work = pressure + points;
  if (parameters_.forcing) {
    for (std::size_t i = 0; i < points; ++i) work[i] = std::exp(kappa * in.log_pressure[i]);
    const double season = parameters_.season_amplitude == 0 ? 0.0 : season_sine(time(), parameters_.season_amplitude);
    parameters_.forcing->relax(levels, columns, rows, season, in.temperature, in.log_pressure, work, out.heating);
  }
  for (std::size_t i = 0; i < points; ++i) pressure[i] = reference_pressure * std::exp(in.log_pressure[i]);
  if (parameters_.moist) {
    double* speed = work;
    double* rain = work + points;
    double* old_pressure = work + 2 * points;
    const double* u = in.u + (L - 1) * points;
    const double* v = in.v + (L - 1) * points;
    const double* old_log = input(p + 3);
    for (std::size_t i = 0; i < points; ++i) {
      speed[i] = std::sqrt((u[i] * u[i] + v[i] * v[i]) * rows.inverse_cosine_squared[i % 16]);
      old_pressure[i] = reference_pressure * std::exp(old_log[i]);
    }
    moist_physics(levels, columns, rows, 2 * half_interval, input(6 * L), input(7 * L), old_pressure, speed,
                  out.heating, out.moistening, rain);
    double* sum = rain_.data() + std::size_t(b) * points;
    for (std::size_t i = 0; i < points; ++i) sum[i] += rain[i] * parameters_.time_step;
    for (std::size_t i = 0; i < points; ++i) {
      double vapour = 0;
      for (std::size_t k = 0; k < L; ++k) vapour += levels.thickness()[k] * in.humidity[k * points + i];
      pressure[i] *= 1 - vapour;
    }
  }
  for (int member = 0; member < 16; ++member) {
    const int row = transform_.row(b, member);
    if (row < 0) continue;
    double sum = 0;
    for (std::size_t x = 0; x < columns; ++x) sum += pressure[x * 16 + std::size_t(member)];
    w.row_mass[std::size_t(row)] = sum;
  }
  transform_.fourier_analysis(b, w.outputs, t.out.data(), w.fourier_out.data(), t.line.data());
}

void PrimitiveEquations::correct_mass() {
  if (!parameters_.fix_mass) return;
  double mass = 0;
  for (std::size_t row = 0; row < work_->row_mass.size(); ++row)
    mass += 0.5 * transform_.weights()[row] * work_->row_mass[row];
  now_.log_pressure[0] += std::log(dry_mass_ / (mass / transform_.nlon()));
}

void PrimitiveEquations::update(int m, double half_interval, bool filter, int thread) {
  Work& w = *work_;
  const std::size_t L = std::size_t(parameters_.levels.count()), stride = SphericalTransform::padded(w.outputs);
  const SpectralIndex& at = index();
  const double interval = 2 * half_interval;
  double* column = w.threads[std::size_t(thread)].column.data();
  double *vorticity = column, *divergence = column + 2 * L, *temperature = column + 4 * L, *humidity = column + 6 * L,
         *spare = column + 8 * L, *scratch = column + 10 * L;
  for (int n = m; n <= parameters_.truncation; ++n) {
    const std::size_t c = at(m, n), field = c * 2 * L;
    const double laplacian = double(n) * (n + 1) / (earth_radius * earth_radius);
    const double* here = w.spectral_out.data() + c * stride;
    const FluxDivergence flux{here,
                              stride,
                              w.outputs,
                              double(m) / earth_radius,
                              (n + 1) * at.epsilon(m, n) / earth_radius,
                              n * at.epsilon(m, n + 1) / earth_radius,
                              n > m};
    // tendencies
    flux.curl(0, L, L, vorticity);
    flux.divergence(0, L, L, divergence);
    flux.divergence(3 * L, 4 * L, L, temperature);
    double log_pressure[2];
    for (std::size_t part = 0; part < 2; ++part) {
      const double* out = here + part * w.outputs;
      for (std::size_t k = 0; k < L; ++k) {
        divergence[part * L + k] += laplacian * out[2 * L + k];
        temperature[part * L + k] = out[5 * L + k] - temperature[part * L + k];
      }
      log_pressure[part] = out[parameters_.moist ? 9 * L : 6 * L];
    }
    // right-hand sides of the semi-implicit system: tendency + linear terms of (previous - now), over the interval
    double* difference = spare;
    for (std::size_t k = 0; k < 2 * L; ++k)
      difference[k] = previous_.divergence[field + k] - now_.divergence[field + k];
    semi_implicit_.compression(difference, scratch);
    for (std::size_t k = 0; k < 2 * L; ++k) temperature[k] = interval * (temperature[k] - scratch[k]);
    for (std::size_t part = 0; part < 2; ++part)
      log_pressure[part] = interval * (log_pressure[part] - semi_implicit_.column(difference, int(part)));
    semi_implicit_.geopotential(previous_.temperature.data() + field, scratch);
    for (std::size_t part = 0; part < 2; ++part) {
      const double ground = surface_geopotential_[c * 2 + part] +
                            gas_constant_dry_air * reference_temperature * previous_.log_pressure[c * 2 + part];
      for (std::size_t k = 0; k < L; ++k)
        divergence[part * L + k] = interval * (divergence[part * L + k] + laplacian * (scratch[part * L + k] + ground));
    }
    semi_implicit_.solve(n, divergence, temperature, log_pressure, scratch);

    // the new state, damped
    const double damping = w.diffusion[std::size_t(n)] * interval;
    double new_pressure[2];
    for (std::size_t part = 0; part < 2; ++part)
      new_pressure[part] = previous_.log_pressure[c * 2 + part] + log_pressure[part];
    for (std::size_t part = 0; part < 2; ++part)
      for (std::size_t k = 0; k < L; ++k) {
        const std::size_t i = part * L + k;
        const double wind = 1 / ((1 + damping) * (1 + interval * w.friction[k]));
        vorticity[i] = (previous_.vorticity[field + i] + interval * vorticity[i]) * wind;
        divergence[i] = (previous_.divergence[field + i] + divergence[i]) * wind;
        temperature[i] =
            (previous_.temperature[field + i] + temperature[i] + damping * w.slope[k] * new_pressure[part]) /
            (1 + damping);
      }
    const double nu = filter ? 0.5 * parameters_.filter_strength : 0.0, alpha = parameters_.filter_partition;
    const auto replace = [&](std::vector<double>& before, std::vector<double>& present, std::size_t offset,
                             const double* fresh, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) {
        const double d = nu * (before[offset + i] - 2 * present[offset + i] + fresh[i]);
        before[offset + i] = present[offset + i] + alpha * d;
        present[offset + i] = fresh[i] - (1 - alpha) * d;
      }
    };
    if (parameters_.moist) {
      flux.divergence(6 * L, 7 * L, L, humidity);
      for (std::size_t part = 0; part < 2; ++part)
        for (std::size_t k = 0; k < L; ++k) {
          const std::size_t i = part * L + k;
          humidity[i] =
              (previous_.humidity[field + i] + interval * (here[part * w.outputs + 8 * L + k] - humidity[i])) /
              (1 + damping);
        }
      replace(previous_.humidity, now_.humidity, field, humidity, 2 * L);
    }
    replace(previous_.vorticity, now_.vorticity, field, vorticity, 2 * L);
    replace(previous_.divergence, now_.divergence, field, divergence, 2 * L);
    replace(previous_.temperature, now_.temperature, field, temperature, 2 * L);
    replace(previous_.log_pressure, now_.log_pressure, c * 2, new_pressure, 2);
  }
}

void PrimitiveEquations::check_guard() const {
  for (const BlockGuard& guard : work_->guard)
    for (int k = 0; k < parameters_.levels.count(); ++k) {
      const char* names[] = {"wind", "temperature"};
      const unsigned long long masks[] = {guard.wind, guard.temperature};
      for (int i = 0; i < 2; ++i)
        if (masks[i] >> k & 1)
          fail(ErrorKind::numerical,
               "step {} ({}): {} on sigma level {} (sigma {:.3f}) is not a number or outside its limits ({}); a "
               "shorter time step "
               "or stronger diffusion may help",
               steps_, to_string(time()), names[i], k + 1, parameters_.levels.full()[std::size_t(k)],
               i == 0 ? fmt::format("at most {} m/s", parameters_.wind_limit) : std::string("50 to 500 K"));
    }
}

double PrimitiveEquations::dry_pressure(const SpectralState& state) const {
  const std::size_t L = std::size_t(parameters_.levels.count()), columns = std::size_t(transform_.nlon());
  const std::size_t series = 1 + (parameters_.moist ? 1 : 0), size = index().size();
  std::vector<double> spectral(series * size * 2), grid(series * std::size_t(transform_.nlat()) * columns);
  std::copy(state.log_pressure.begin(), state.log_pressure.end(), spectral.begin());
  if (parameters_.moist)  // the column's humidity is a sum over levels, which can be made before the transform
    for (std::size_t i = 0; i < size * 2; ++i)
      for (std::size_t k = 0; k < L; ++k)
        spectral[size * 2 + i] += parameters_.levels.thickness()[k] * state.humidity[i * L + k];
  transform_.synthesise(series, spectral, grid);
  double mass = 0;
  const std::size_t plane = std::size_t(transform_.nlat()) * columns;
  for (std::size_t row = 0; row < std::size_t(transform_.nlat()); ++row) {
    double sum = 0;
    for (std::size_t x = 0; x < columns; ++x) {
      const std::size_t i = row * columns + x;
      sum += reference_pressure * std::exp(grid[i]) * (parameters_.moist ? 1 - grid[plane + i] : 1.0);
    }
    mass += 0.5 * transform_.weights()[row] * sum;
  }
  return mass / double(columns);
}

SpectralState PrimitiveEquations::present() const {
  SpectralState state = now_;
  if (parameters_.fix_mass) state.log_pressure[0] += std::log(dry_mass_ / dry_pressure(state));
  return state;
}

std::vector<double> PrimitiveEquations::take_rain() {
  if (!parameters_.moist) return {};
  const std::size_t columns = std::size_t(transform_.nlon());
  std::vector<double> rain(std::size_t(transform_.nlat()) * columns);
  for (int b = 0; b < transform_.blocks(); ++b)
    for (int member = 0; member < 16; ++member)
      if (const int row = transform_.row(b, member); row >= 0)
        for (std::size_t x = 0; x < columns; ++x)
          rain[std::size_t(row) * columns + x] = rain_[(std::size_t(b) * columns + x) * 16 + std::size_t(member)];
  std::fill(rain_.begin(), rain_.end(), 0.0);
  return rain;
}

std::size_t PrimitiveEquations::bytes() const {
  const Work& w = *work_;
  std::size_t doubles = transform_.table_size() + w.spectral_in.size() + w.spectral_out.size() + w.fourier_in.size() +
                        w.fourier_out.size() + memory_size();
  for (const Work::Thread& t : w.threads)
    doubles += t.in.size() + t.out.size() + t.scratch.size() + t.line.size() + t.physics.size() + t.column.size();
  return doubles * sizeof(double);
}

std::size_t PrimitiveEquations::memory_size() const {
  const std::size_t field = index().size() * 2 * std::size_t(parameters_.levels.count());
  return 1 + 2 * (field * (parameters_.moist ? 4 : 3) + index().size() * 2) + rain_.size();
}

std::vector<double> PrimitiveEquations::memory() const {
  std::vector<double> memory{dry_mass_};
  for (const SpectralState* state : {&previous_, &now_})
    for (const std::vector<double>* field :
         {&state->vorticity, &state->divergence, &state->temperature, &state->humidity, &state->log_pressure})
      memory.insert(memory.end(), field->begin(), field->end());
  memory.insert(memory.end(), rain_.begin(), rain_.end());
  return memory;
}

void PrimitiveEquations::restore(std::span<const double> memory, std::int64_t steps, Time start) {
  previous_ = SpectralState(index().size(), parameters_.levels.count(), parameters_.moist);
  now_ = previous_;
  const std::size_t expected = memory_size();
  if (memory.size() != expected)
    fail(ErrorKind::data, "a restart of {} numbers does not fit this model, which needs {}", memory.size(), expected);
  dry_mass_ = memory[0];
  std::size_t from = 1;
  const auto take = [&](std::vector<double>& field) {
    std::copy_n(memory.begin() + std::ptrdiff_t(from), field.size(), field.begin());
    from += field.size();
  };
  for (SpectralState* state : {&previous_, &now_})
    for (std::vector<double>* field :
         {&state->vorticity, &state->divergence, &state->temperature, &state->humidity, &state->log_pressure})
      take(*field);
  take(rain_);
  steps_ = steps;
  start_ = start;
}

}  // namespace zonda::model
