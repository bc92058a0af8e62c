#pragma once
// Tangent and adjoint of an integration of the dry equations, from fields to fields (SigmaFields).
#include <memory>
#include <span>
#include <vector>

#include "model/dynamics/linearised_tendencies.hpp"
#include "model/dynamics/sigma_fields.hpp"

namespace zonda::model {

class LinearisedUpdate;

/// About one trajectory, whose grid fields are kept: (5 levels + 3) (steps + 1) fields. One thread at a time.
class LinearisedIntegration {
 public:
  /// Keeps a reference to the equations. Throws Error(usage) for moist ones.
  explicit LinearisedIntegration(PrimitiveEquations& equations);
  ~LinearisedIntegration();
  /// Integrates from `fields` at `start` and keeps the trajectory; `fields` become those at the end.
  void run(std::span<double> fields, Time start, std::int64_t steps);
  /// The derivative along `fields`, in place.
  void tangent(std::span<double> fields) const;
  /// Its transpose in the plain inner product.
  void adjoint(std::span<double> fields) const;

 private:
  /// What a time step begins from: fields [5 levels + 3][nlat, nlon] in the order of BlockInput, sines of the season,
  /// and mean surface pressure, Pa.
  struct Moment {
    std::vector<double> input;
    double season = 0, mass = 0;
  };
  std::size_t points() const { return std::size_t(transform_.nlat()) * std::size_t(transform_.nlon()); }
  std::size_t input_series() const { return 5 * levels_ + 3; }
  std::size_t output_series() const { return 6 * levels_ + 1; }
  Moment moment_of(const SpectralState& state, Time time) const;
  const LinearisedUpdate& update(std::size_t step) const { return step == 0 ? *first_ : *later_; }

  void to_grid(const SpectralState& state, std::vector<double>& input) const;
  void to_grid_adjoint(const std::vector<double>& input, SpectralState& state) const;
  void to_tendency(const std::vector<double>& output, SpectralState& tendency) const;
  void to_tendency_adjoint(const SpectralState& tendency, std::vector<double>& output) const;
  /// Change of a state's mean surface pressure, Pa, with the change of its ln ps [nlat, nlon]; and the transpose,
  /// added.
  double mass_change(const Moment& at, std::span<const double> log_pressure) const;
  void mass_change_adjoint(const Moment& at, double mass, std::span<double> log_pressure) const;
  /// body(point, tendencies, input at the point)
  template <class Body>
  void over_points(const Moment& at, Body&& body) const;
  void fields_to_state(std::span<const double> fields, SpectralState& state) const;
  void fields_to_state_adjoint(const SpectralState& state, std::span<double> fields) const;
  void state_to_fields(const SpectralState& state, std::span<double> fields) const;
  void state_to_fields_adjoint(std::span<const double> fields, SpectralState& state) const;
  SpectralState empty() const;

  PrimitiveEquations& equations_;
  const SphericalTransform& transform_;
  std::size_t levels_;
  SigmaFields fields_;
  std::unique_ptr<const LinearisedUpdate> first_, later_;
  std::vector<double> cosines_;                         ///< [lat]
  std::vector<Moment> moments_;                         ///< [step], the end last
  std::vector<double> first_pressure_, last_pressure_;  ///< [lat, lon], Pa
};

}  // namespace zonda::model
