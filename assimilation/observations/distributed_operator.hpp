#pragma once
#include <functional>
#include <memory>

#include "assimilation/interfaces/observation_operator.hpp"
#include "parallel/communicator.hpp"
#include "parallel/partition.hpp"

namespace zonda::assimilation {

/// An operator whose observations ranks share: cut into blocks, the same ones on any number of ranks, of which each
/// rank makes and applies its own. The adjoint adds blocks over a fixed tree, so the bits do not depend on ranks; all
/// ranks hold states and values whole. apply, tangent and adjoint are collective.
class DistributedOperator final : public ObservationOperator {
 public:
  static constexpr std::size_t blocks = 16;
  /// `make` gives the operator of observations [begin, end) of `size`, of states of `state_size`.
  DistributedOperator(
      parallel::Communicator communicator, std::size_t state_size, std::size_t size,
      const std::function<std::shared_ptr<const ObservationOperator>(parallel::Range observations)>& make);
  std::size_t state_size() const override { return state_size_; }
  std::size_t size() const override { return size_; }
  void apply(ConstView state, View values) const override;
  void tangent(ConstView state, ConstView perturbation, View values) const override;
  void adjoint(ConstView state, ConstView values, View sensitivity) const override;

 private:
  parallel::Range observations(std::size_t block) const { return parallel::partition(size_, blocks, block); }
  parallel::Range own_blocks(int rank) const;
  void gather(View values) const;

  parallel::Communicator communicator_;
  std::size_t state_size_, size_;
  std::vector<std::shared_ptr<const ObservationOperator>> own_;
};

}  // namespace zonda::assimilation
