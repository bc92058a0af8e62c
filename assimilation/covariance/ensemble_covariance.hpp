#pragma once
#include <memory>
#include <vector>

#include "assimilation/interfaces/covariance.hpp"
#include "parallel/communicator.hpp"
#include "parallel/partition.hpp"

namespace zonda::assimilation {

/// The covariance of an ensemble, localised by element-wise product with a correlation C (Buehner 2005; Lorenc 2003):
/// U v = sum over members of x'_k / sqrt(N - 1) times C^(1/2) v_k. Control space: one field of C's for each member.
/// Ranks share the members, each keeps only its own anomalies; the sum runs over a fixed tree, so the bits depend on
/// neither ranks nor threads.
class EnsembleCovariance final : public Covariance {
 public:
  /// `anomalies` [member][state] sum to zero; `correlation` has a unit diagonal and acts on each rank alone.
  EnsembleCovariance(std::vector<Vector> anomalies, std::shared_ptr<const Covariance> correlation,
                     parallel::Communicator communicator = parallel::Communicator::self());
  /// The same where each rank has those of its own partition of `members` only.
  EnsembleCovariance(std::size_t members, std::vector<Vector> own_anomalies,
                     std::shared_ptr<const Covariance> correlation, parallel::Communicator communicator);
  std::size_t size() const override { return correlation_->size(); }
  std::size_t control_size() const override { return members_ * correlation_->control_size(); }
  /// Collective.
  void square_root(ConstView control, View y) const override;
  void square_root_adjoint(ConstView x, View control) const override;

 private:
  void take(std::vector<Vector> own_anomalies);
  parallel::Range own(std::size_t rank) const;
  std::size_t members_;
  parallel::Communicator communicator_;
  std::vector<Vector> anomalies_;  ///< of own members, over sqrt(N - 1)
  std::shared_ptr<const Covariance> correlation_;
};

}  // namespace zonda::assimilation
