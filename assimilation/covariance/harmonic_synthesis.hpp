#pragma once
#include <memory>

#include "assimilation/interfaces/vectors.hpp"
#include "core/grid.hpp"

namespace zonda::model {
class SphericalTransform;
}

namespace zonda::assimilation {

/// Real spherical harmonics up to a total wavenumber T on a global grid, and the transposes of what they make: fields
/// f = sum c_i Y_i, where the mean of Y_i^2 over the sphere is 1, and winds of a streamfunction and a velocity
/// potential. The coefficients of wavenumber n are numbers n^2 to (n + 1)^2. Fields are independent of each other.
class HarmonicSynthesis {
 public:
  /// Throws Error(usage) for a grid that is not global or cannot represent T.
  HarmonicSynthesis(const Grid& grid, int truncation);
  ~HarmonicSynthesis();
  HarmonicSynthesis(HarmonicSynthesis&&) noexcept;
  /// The largest T whose harmonics a grid tells apart, and the largest for which analysis is exact as well.
  static int representable(const Grid& grid);
  static int resolved(const Grid& grid);

  int truncation() const { return truncation_; }
  std::size_t coefficients() const { return static_cast<std::size_t>(truncation_ + 1) * (truncation_ + 1); }
  std::size_t points() const { return points_; }

  /// [field][coefficient] -> [field][lat, lon]
  void scalar(std::size_t fields, ConstView coefficients, View grid) const;
  void scalar_adjoint(std::size_t fields, ConstView grid, View coefficients) const;
  /// u = (-dpsi/dphi + dchi/dlambda / cos phi) / a, v = (dpsi/dlambda / cos phi + dchi/dphi) / a, a the Earth's radius;
  /// psi, chi [level][coefficient], u, v [level][lat, lon].
  void wind(std::size_t levels, ConstView psi, ConstView chi, View u, View v) const;
  void wind_adjoint(std::size_t levels, ConstView u, ConstView v, View psi, View chi) const;

  /// Coefficients of fields, and psi and chi of winds, by quadrature over the rows; exact where T is resolved.
  void analyse(std::size_t fields, ConstView grid, View coefficients) const;
  void analyse_wind(std::size_t levels, ConstView u, ConstView v, View psi, View chi) const;
  /// b = inverse Laplacian of div(sin phi grad psi), one field of coefficients: what balances psi linearly (Derber &
  /// Bouttier 1999), over twice the Earth's rotation.
  void balance(ConstView psi, View b) const;
  void balance_adjoint(ConstView b, View psi) const;

 private:
  std::size_t place(int m, int n, int part) const;
  Vector weighted(std::size_t fields, ConstView grid) const;
  int truncation_;
  std::size_t points_, columns_;
  Vector quadrature_;  ///< [lat], of one point: sum over the grid is 1
  Vector secant_;      ///< [lat]
  std::unique_ptr<model::SphericalTransform> transform_;
};

}  // namespace zonda::assimilation
