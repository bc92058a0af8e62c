#pragma once
#include <memory>
#include <span>

#include "assimilation/covariance/localisation.hpp"
#include "assimilation/interfaces/covariance.hpp"

namespace zonda::assimilation {

/// A full matrix with its symmetric square root; for toys, references and correlations of few points.
class DenseCovariance final : public Covariance {
 public:
  /// `matrix` [n, n]. Throws Error(usage) unless symmetric, Error(numerical) unless positive semidefinite: eigenvalues
  /// below zero by more than `clip` times the largest. Smaller negative ones become zero.
  DenseCovariance(std::size_t n, ConstView matrix, double clip = 1e-10);
  std::size_t size() const override { return n_; }
  std::size_t control_size() const override { return n_; }
  void square_root(ConstView control, View y) const override;
  void square_root_adjoint(ConstView x, View control) const override { square_root(x, control); }
  void multiply(ConstView x, View y) const override;

 private:
  std::size_t n_;
  Vector matrix_, root_;  ///< [n, n]
};

/// Unbiased covariance of samples [sample, n], about their mean, times `factor`.
DenseCovariance sample_covariance(std::span<const Vector> samples, double factor = 1);

/// Localisation's weights between `positions` as a correlation matrix. Gaspari-Cohn on a domain that is short beside
/// its support is not quite positive; up to `clip` of the largest eigenvalue is cut off.
std::shared_ptr<const DenseCovariance> localisation_matrix(const Localisation& localisation,
                                                           std::span<const Position> positions, double clip = 1e-10);

}  // namespace zonda::assimilation
