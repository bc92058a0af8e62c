#pragma once
#include <functional>

#include "assimilation/covariance/harmonic_synthesis.hpp"
#include "assimilation/covariance/horizontal_correlation.hpp"

namespace zonda::assimilation {

/// An isotropic correlation of one field on a global grid, by its Legendre spectrum. Control space: as many spherical
/// harmonics as hold 1 - `lost` of the variance, so that broad correlations have small controls; unit diagonal.
class IsotropicCorrelation final : public HorizontalCorrelation {
 public:
  /// `correlation` of the distance in m; what of its spectrum is negative is left out. Throws Error(usage) where the
  /// grid cannot represent it.
  IsotropicCorrelation(const Grid& grid, const std::function<double(double)>& correlation, double lost = 1e-2);
  std::size_t size() const override { return harmonics_.points(); }
  std::size_t control_size() const override { return harmonics_.coefficients(); }
  void square_roots(std::size_t fields, ConstView controls, View y) const override;
  void square_root_adjoints(std::size_t fields, ConstView x, View controls) const override;

 private:
  void weigh(std::size_t fields, View coefficients) const;
  Vector deviations_;  ///< [n]
  HarmonicSynthesis harmonics_;
};

}  // namespace zonda::assimilation
