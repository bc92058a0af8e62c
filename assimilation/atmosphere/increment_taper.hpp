#pragma once
// Takes the scales that a learned model does not resolve out of increments, gradients and perturbations.
#include "assimilation/interfaces/covariance.hpp"
#include "assimilation/observations/atmosphere_layout.hpp"
#include "model/spectral/spectral_taper.hpp"

namespace zonda::assimilation {

/// T: the spectral taper on every field of every slot. Self-adjoint in the inner product of the rows' quadrature
/// weights; in the plain one, which states and gradients here live in, T^T has those weights around it.
class IncrementTaper {
 public:
  /// Total wavenumbers as in SpectralTaper. Throws Error(usage) for a regional grid.
  IncrementTaper(const AtmosphereLayout& layout, int from, int to);
  std::size_t size() const { return size_; }
  /// increment <- T increment
  void apply(View increment) const;
  /// gradient <- T^T gradient
  void apply_adjoint(View gradient) const;

 private:
  model::SpectralTaper taper_;
  std::size_t size_;
};

/// T B T^T: increments of analyses that use it have no scales that T takes out, and no gradient brings them in.
class TaperedCovariance final : public Covariance {
 public:
  TaperedCovariance(std::shared_ptr<const Covariance> covariance, std::shared_ptr<const IncrementTaper> taper);
  std::size_t size() const override { return covariance_->size(); }
  std::size_t control_size() const override { return covariance_->control_size(); }
  void square_root(ConstView control, View y) const override;
  void square_root_adjoint(ConstView x, View control) const override;
  void multiply(ConstView x, View y) const override;

 private:
  std::shared_ptr<const Covariance> covariance_;
  std::shared_ptr<const IncrementTaper> taper_;
};

}  // namespace zonda::assimilation
