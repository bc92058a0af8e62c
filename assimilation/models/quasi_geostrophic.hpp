#pragma once
#include "assimilation/interfaces/position.hpp"
#include "assimilation/models/runge_kutta.hpp"

namespace zonda::assimilation {

struct QuasiGeostrophicConfig {
  std::size_t nx = 32, ny = 16;
  double length_x = 12e6, length_y = 6e6;  ///< m
  double deformation_radius = 700e3;       ///< m
  double shear = 10;                       ///< m/s: the mean wind is +shear above, -shear below
  double beta = 1.6e-11;                   ///< 1/(m s)
  double drag = 1 / (10 * 86400.0);        ///< 1/s, on the lower layer's vorticity
  double viscosity = 1e16;                 ///< m4/s, of the fourth-order diffusion
};

/// Two equal layers of quasi-geostrophic flow on a doubly periodic beta plane about a mean shear (Phillips 1954).
/// The state is the potential-vorticity anomaly [layer, y, x] in 1/s, layer 0 above:
///   q1 = L psi1 + F (psi2 - psi1), q2 = L psi2 + F (psi1 - psi2), F = 1/radius^2, L the five-point Laplacian;
///   dq/dt = -J(psi, q) - U dq/dx - (dQ/dy) dpsi/dx - drag L psi2 - viscosity L L q.
/// J is Arakawa's (1966): the sum of c J(a, b) changes sign under exchange of any two, so its adjoint is itself.
class QuasiGeostrophic final : public Tendency {
 public:
  explicit QuasiGeostrophic(const QuasiGeostrophicConfig& config = {});
  std::size_t size() const override { return 2 * layer_size(); }
  void evaluate(ConstView vorticity, View rate) const override;
  void tangent(ConstView vorticity, ConstView perturbation, View rate) const override;
  void adjoint(ConstView vorticity, ConstView rate, View sensitivity) const override;

  /// psi [layer, y, x] in m2/s; a symmetric operator.
  void stream_function(ConstView vorticity, View psi) const;
  /// The sum of c J(a, b) over one layer's fields, times a cell's area.
  double triple(ConstView c, ConstView a, ConstView b) const;
  /// Metres east and north; z is the layer.
  Position position(std::size_t index) const;
  const QuasiGeostrophicConfig& config() const { return config_; }

 private:
  std::size_t layer_size() const { return config_.nx * config_.ny; }
  template <class Field>
  Field layer(Field field, std::size_t l) const {
    return field.subspan(l * layer_size(), layer_size());
  }
  double mean_wind(std::size_t l) const { return l == 0 ? config_.shear : -config_.shear; }
  double mean_gradient(std::size_t l) const;
  /// out += factor J(a, b), and so on, on one layer
  void add_jacobian(double factor, ConstView a, ConstView b, View out) const;
  void add_x_derivative(double factor, ConstView a, View out) const;
  void add_laplacian(double factor, ConstView a, View out) const;
  void add_diffusion(ConstView a, View out) const;
  /// All that is linear in (vorticity, psi).
  void add_linear(ConstView vorticity, ConstView psi, View rate) const;
  /// Hartley transform of one layer, orthogonal and symmetric, in place.
  void hartley(View field) const;

  QuasiGeostrophicConfig config_;
  double dx_, dy_, coupling_;
  Vector hartley_x_, hartley_y_;    ///< [n, n]
  Vector barotropic_, baroclinic_;  ///< psi over q, by wave number
};

}  // namespace zonda::assimilation
