#pragma once
// Spherical harmonics, triangular truncation: between spectral coefficients and values on a latitude-longitude or
// Gaussian grid.
//
//   f(lambda, mu) = sum_{m=-T}^{T} sum_{n=|m|}^{T} f_n^m P_n^m(mu) exp(i m lambda),   1/2 int P_n^m P_l^m dmu =
//   delta_nl,
//
// so f_0^0 is the global mean. Real fields: f_n^{-m} = conj(f_n^m), only m >= 0 is kept. Rows n = m .. T + 1 are
// stored: the extra row holds what the wind and the meridional derivative of a field of truncation T need.
//
// Many fields (`series`) are transformed at once. Legendre transforms are matrix products over latitude pairs, one per
// m, independent of each other; Fourier transforms work on blocks of eight latitude pairs (north + i south), so all
// sums run in an order that no number of threads changes.
#include <cstddef>
#include <span>
#include <vector>

#include "model/spectral/fourier_transform.hpp"

namespace zonda::model {

/// Where coefficient (m, n) stands: m-major, n = m .. T + 1.
class SpectralIndex {
 public:
  explicit SpectralIndex(int truncation);
  int truncation() const { return truncation_; }
  std::size_t size() const { return offsets_.back(); }
  /// n runs to T + 1.
  std::size_t operator()(int m, int n) const { return offsets_[m] + std::size_t(n - m); }
  std::size_t begin(int m) const { return offsets_[m]; }
  int count(int m) const { return truncation_ + 2 - m; }
  /// sqrt((n^2 - m^2) / (4 n^2 - 1)), the coefficient of every Legendre recurrence. 0 for n = m.
  double epsilon(int m, int n) const { return epsilon_[offsets_[m] + std::size_t(n - m)]; }

 private:
  int truncation_;
  std::vector<std::size_t> offsets_;
  std::vector<double> epsilon_;
};

class SphericalTransform {
 public:
  /// Columns that alias no quadratic product (nlon >= 3 T + 1), a fast Fourier length and a multiple of 32; nlat is
  /// half of it.
  static int quadratic_columns(int truncation);
  /// The Gaussian grid of quadratic_columns(truncation).
  explicit SphericalTransform(int truncation);
  /// Any rows (degrees, descending, symmetric about the equator) and columns that start at 0 E. Without `weights` for
  /// synthesis only; with weights (by row, symmetric, sum 2) analysis applies those. Waves that the columns cannot
  /// carry (2 m >= nlon) are left out. Throws Error(usage) if the rows are not symmetric.
  SphericalTransform(int truncation, std::span<const double> latitudes, int nlon, std::span<const double> weights = {});

  const SpectralIndex& index() const { return index_; }
  int truncation() const { return index_.truncation(); }
  int nlat() const { return nlat_; }
  int nlon() const { return fourier_.size(); }
  int blocks() const { return pairs_ / 8; }
  /// Rows of a block are numbered 0 .. 15: 0 .. 7 northern, 8 .. 15 their southern mirrors. The grid row, or -1 where
  /// padded.
  int row(int block, int member) const;
  /// Sine of latitude by grid row, and the weights of analysis (sum 2; empty for synthesis only).
  std::span<const double> sines() const { return sines_; }
  std::span<const double> weights() const { return weights_; }

  /// Doubles in a batch: spectral [coefficients, stride], stride = padded(series): real parts of all series, then
  /// imaginary ones.
  static std::size_t padded(std::size_t series) { return (2 * series + 7) / 8 * 8; }
  std::size_t spectral_size(std::size_t series) const { return index_.size() * padded(series); }
  std::size_t fourier_size(std::size_t series) const {
    return std::size_t(truncation() + 1) * padded(series) * 2 * std::size_t(pairs_);
  }
  std::size_t block_size(std::size_t series) const { return series * std::size_t(nlon()) * 16; }
  std::size_t work_size() const { return std::size_t(nlon()) * 32; }
  /// P_n^m on the northern rows, the equator's included.
  std::span<const double> polynomial(int m, int n) const {
    return std::span(polynomials_).subspan(index_(m, n) * std::size_t(pairs_), std::size_t(nlat_ + 1) / 2);
  }
  /// Doubles in the table of polynomials.
  std::size_t table_size() const { return polynomials_.size(); }

  /// Coefficients of wave m -> Fourier coefficients of wave m on all rows. Waves are independent: call for all m, in
  /// any order.
  void legendre_synthesis(int m, std::size_t series, const double* spectral, double* fourier) const;
  /// Fourier coefficients -> grid values of one block: `grid` [series, nlon, 16].
  void fourier_synthesis(int block, std::size_t series, const double* fourier, double* grid, double* work) const;
  /// The way back: `grid` is left as it is; weights are applied here.
  void fourier_analysis(int block, std::size_t series, const double* grid, double* fourier, double* work) const;
  void legendre_analysis(int m, std::size_t series, const double* fourier, double* spectral) const;

  /// Whole transforms for set-up, output and tests: `spectral` [series][coefficients, 2], `grid` [series][nlat, nlon].
  void synthesise(std::size_t series, std::span<const double> spectral, std::span<double> grid) const;
  void analyse(std::size_t series, std::span<const double> grid, std::span<double> spectral) const;

 private:
  void make_polynomials();
  SpectralIndex index_;
  FourierTransform fourier_;
  int nlat_, pairs_;  ///< pairs_: latitude pairs, padded to a multiple of 8
  std::vector<double> sines_, weights_;
  std::vector<double> polynomials_;  ///< [coefficient, pair]
};

}  // namespace zonda::model
