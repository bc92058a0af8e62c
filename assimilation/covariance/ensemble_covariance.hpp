#pragma once
#include <memory>
#include <vector>

#include "assimilation/interfaces/covariance.hpp"

namespace zonda::assimilation {

/// The covariance of an ensemble, localised by element-wise product with a correlation C (Buehner 2005; Lorenc 2003):
/// U v = sum over members of x'_k / sqrt(N - 1) times C^(1/2) v_k. Control space: one field of C's for each member.
class EnsembleCovariance final : public Covariance {
 public:
  /// `anomalies` [member][state] sum to zero; `correlation` has a unit diagonal.
  EnsembleCovariance(std::vector<Vector> anomalies, std::shared_ptr<const Covariance> correlation);
  std::size_t size() const override { return anomalies_.front().size(); }
  std::size_t control_size() const override { return anomalies_.size() * correlation_->control_size(); }
  void square_root(ConstView control, View y) const override;
  void square_root_adjoint(ConstView x, View control) const override;

 private:
  std::vector<Vector> anomalies_;  ///< over sqrt(N - 1)
  std::shared_ptr<const Covariance> correlation_;
};

}  // namespace zonda::assimilation
