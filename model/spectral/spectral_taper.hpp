#pragma once
// Spectral taper: takes the scales out of a field that a model does not resolve.
#include <memory>
#include <span>
#include <vector>

namespace zonda {
class Grid;
}

namespace zonda::model {

class SphericalTransform;

/// Damps spherical harmonics by their total wavenumber n: those up to `from` stay, the weight of those beyond falls as
/// (1 + cos(pi (n - from) / (to - from))) / 2, and from `to` on nothing is left. What the harmonics below `to` say of a
/// field is its fit in the least squares of the rows' quadrature: Gauss' on Gaussian grids, on equally spaced rows
/// Clenshaw and Curtis' (with poles) or Fejer's first (without; Waldvogel 2006). The area-weighted mean stays.
class SpectralTaper {
 public:
  /// 0 <= from < to. Throws Error(usage) for a grid that is not global, naming it, or whose rows or columns do not
  /// resolve the wavenumbers below `to`.
  SpectralTaper(const Grid& grid, int from, int to);
  ~SpectralTaper();
  SpectralTaper(SpectralTaper&&) noexcept;
  SpectralTaper& operator=(SpectralTaper&&) noexcept;
  /// In place: `fields` [any number, lat, lon], each on its own, with the same bits on any number of threads.
  void apply(std::span<float> fields) const;
  /// The weight of total wavenumber n.
  double weight(int n) const;

  /// In f64, as a linear operator on increments: S x, self-adjoint in the inner product of the rows' quadrature
  /// weights, sum of w(row) x y. Harmonics up to `from` stay as they are; where harmonics are not orthonormal on the
  /// grid those beyond are made so, from long waves to short. On Gaussian grids apply() does the same but for the
  /// area-weighted mean.
  void smooth(std::span<double> fields) const;
  /// Its adjoint in the plain inner product, for gradients: w S (x / w).
  void smooth_adjoint(std::span<double> fields) const;
  /// Of the inner product, [lat].
  std::span<const double> quadrature_weights() const;

 private:
  void scale_rows(std::span<double> fields, bool divide) const;
  void apply_to(std::size_t fields, float* values) const;
  void smooth_fields(std::size_t fields, double* values) const;
  enum class Solve { whole, lower, upper };
  /// With the normal equations G = L L^T: by G, L or L^T, [coefficients, 2] in place. G turns coefficients of the
  /// quadrature into those of the fit, L into those of orthonormal harmonics, L^T these into those of the fit.
  void solve(Solve which, std::span<double> coefficients) const;

  int from_, to_;
  std::vector<double> area_weights_;  ///< [lat], sum 1 / columns
  std::size_t points_, columns_;
  std::unique_ptr<SphericalTransform> transform_;
  struct Fit;
  std::unique_ptr<Fit> fit_;  ///< none where the harmonics are orthonormal on the grid
};

}  // namespace zonda::model
