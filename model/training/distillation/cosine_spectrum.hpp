#pragma once
// Spectra on a region that is not periodic: the two-dimensional discrete cosine transform (Denis, Cote & Laprise 2002,
// Mon. Wea. Rev. 130, 1812-1829). With alpha = sqrt((m/M)^2 + (n/N)^2) a coefficient's wavelength is 2 / alpha cells
// (their equations 9 and 10).
#include <cstddef>
#include <span>
#include <vector>

namespace zonda::model {

class CosineSpectrum {
 public:
  CosineSpectrum(std::size_t rows, std::size_t columns);
  std::size_t size() const { return rows_ * columns_; }
  /// Band b holds the coefficients with b <= alpha min(M, N) < b + 1, b = 0 the mean besides.
  std::size_t bands() const { return bands_; }
  std::size_t band(std::size_t coefficient) const { return band_[coefficient]; }
  /// Cells: of the shortest wave of a band.
  double wavelength(std::size_t band) const;
  /// The first bands, whose waves are all at least so many cells long.
  std::size_t bands_down_to(double cells) const;

  /// Orthonormal coefficients [m, n] of a field [row, column].
  void transform(std::span<const double> field, std::span<double> coefficients) const;
  /// The transpose, which is the inverse.
  void inverse(std::span<const double> coefficients, std::span<double> field) const;
  /// Sums of squared coefficients, [band]; the mean is left out. Adds.
  void add_power(std::span<const double> coefficients, std::span<double> power) const;

 private:
  std::size_t rows_, columns_, bands_;
  std::vector<double> row_waves_, column_waves_;  // [wavenumber, row], [wavenumber, column]
  std::vector<std::size_t> band_;
};

}  // namespace zonda::model
