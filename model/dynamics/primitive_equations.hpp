#pragma once
// The atmosphere: the primitive equations in vorticity, divergence, temperature, log surface pressure (and specific
// humidity), spectral in the horizontal, sigma levels in the vertical. Leapfrog, semi-implicit, with the
// Robert-Asselin-Williams filter (Williams 2009, Mon. Wea. Rev. 137, 2538-2546) and implicit hyperdiffusion. The same
// bits on any number of threads.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/time.hpp"
#include "model/dynamics/grid_tendencies.hpp"
#include "model/dynamics/held_suarez.hpp"
#include "model/dynamics/semi_implicit.hpp"
#include "model/dynamics/sigma_levels.hpp"
#include "model/spectral/spherical_transform.hpp"

namespace zonda::model {

/// The pressure that log_pressure is relative to, and p0 of Held & Suarez, Pa.
inline constexpr double reference_pressure = 1e5;

/// One time level. Fields with levels are [coefficient, 2 (real, imaginary), level]; coefficients as in SpectralIndex,
/// row T + 1 zero.
struct SpectralState {
  std::vector<double> vorticity, divergence;  ///< 1/s
  std::vector<double> temperature;            ///< K above reference_temperature
  std::vector<double> humidity;               ///< kg/kg; empty in a dry run
  std::vector<double> log_pressure;           ///< [coefficient, 2]: ln(ps / reference_pressure)
  SpectralState() = default;
  SpectralState(std::size_t coefficients, int levels, bool moist);
  friend bool operator==(const SpectralState&, const SpectralState&) = default;
};

struct CoreParameters {
  int truncation = 30;
  SigmaLevels levels{8};
  double time_step = 1800;         ///< s
  double filter_strength = 0.1;    ///< nu of Williams (2009)
  double filter_partition = 0.53;  ///< alpha; 1 is the classic Robert-Asselin filter
  int diffusion_order = 8;         ///< of the derivative: 2, 4, 6, 8
  double diffusion_time = 8640;    ///< e-folding time of the smallest wave, s; 0 switches it off
  std::optional<HeldSuarez> forcing;
  double season_amplitude = 0;  ///< degrees; 0: no seasons
  bool moist = false;
  bool fix_mass = true;     ///< keep the global mass of dry air
  double wind_limit = 400;  ///< m/s
  int threads = 0;          ///< 0: one below T63, OpenMP's default from there up
};

/// dT/dln p of a standard atmosphere, K: how much temperature on a sigma level follows the ground, which diffusion
/// shall not see.
double standard_slope(double sigma);
/// By total wavenumber 0 .. truncation + 1, 1/s.
std::vector<double> diffusion_rates(const CoreParameters& parameters);

class PrimitiveEquations {
 public:
  /// `surface_geopotential` [coefficients, 2], m2 s-2.
  PrimitiveEquations(CoreParameters parameters, std::vector<double> surface_geopotential);
  ~PrimitiveEquations();

  /// Begins from rest in time: both time levels are `initial`; the first step is a forward one.
  void start(SpectralState initial, Time time);
  /// One time step. Throws Error(numerical) naming step, level and variable where the guard finds NaN, a wind above the
  /// limit, or a temperature outside 50 ... 500 K.
  void step();

  const CoreParameters& parameters() const { return parameters_; }
  const SphericalTransform& transform() const { return transform_; }
  const SpectralIndex& index() const { return transform_.index(); }
  std::span<const double> surface_geopotential() const { return surface_geopotential_; }
  std::int64_t steps() const { return steps_; }
  Time time() const;

  /// The present state with the mass of dry air exactly what it was at the start (the step itself corrects with one
  /// step's delay).
  SpectralState present() const;
  /// The present time level as it is, before the mass is corrected: what the next step begins from.
  const SpectralState& latest() const { return now_; }
  /// Mean surface pressure of dry air, Pa, by Gaussian quadrature.
  double dry_pressure(const SpectralState& state) const;
  /// Rain since the last call, kg m-2, [nlat, nlon]; empty in a dry run.
  std::vector<double> take_rain();

  /// Memory that the model holds.
  std::size_t bytes() const;

  /// All that a restart needs; `restore` continues with the same bits. restore throws Error(data) if the sizes do not
  /// fit.
  std::size_t memory_size() const;
  std::vector<double> memory() const;
  void restore(std::span<const double> memory, std::int64_t steps, Time start);

 private:
  struct Work;
  void advance(double half_interval, bool filter);
  void prepare(int m);
  void block(int b, double half_interval, int thread);
  void update(int m, double half_interval, bool filter, int thread);
  void check_guard() const;
  void correct_mass();

  CoreParameters parameters_;
  SphericalTransform transform_;
  SemiImplicit semi_implicit_;
  std::vector<double> surface_geopotential_;
  SpectralState previous_, now_;
  double dry_mass_ = 0;
  std::int64_t steps_ = 0;
  Time start_{};
  std::vector<BlockRows> rows_;  ///< [block]
  std::vector<double> rain_;     ///< [block, nlon, 16], kg m-2
  std::unique_ptr<Work> work_;
};

}  // namespace zonda::model
