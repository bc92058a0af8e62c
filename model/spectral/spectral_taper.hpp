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

 private:
  void apply_to(std::size_t fields, float* values) const;
  /// Coefficients of the fit from those of the quadrature, [coefficients, 2] in place.
  void fit(std::span<double> coefficients) const;

  int from_, to_;
  std::vector<double> area_weights_;  ///< [lat], sum 1 / columns
  std::size_t points_, columns_;
  std::unique_ptr<SphericalTransform> transform_;
  struct Fit;
  std::unique_ptr<Fit> fit_;  ///< none where the harmonics are orthonormal on the grid
};

}  // namespace zonda::model
