#pragma once
#include <memory>

#include "assimilation/interfaces/covariance.hpp"

namespace zonda::assimilation {

/// What an increment of the present does to the earlier time slots of a state.
enum class EarlierSlots {
  same,       ///< they get it as well
  unchanged,  ///< they get none: the covariance is singular
};

/// The covariance of one slot, for a state [slot][...] whose last slot is the present.
class RepeatedCovariance final : public Covariance {
 public:
  RepeatedCovariance(std::shared_ptr<const Covariance> of_slot, std::size_t slots,
                     EarlierSlots earlier = EarlierSlots::same);
  std::size_t size() const override { return slots_ * of_slot_->size(); }
  std::size_t control_size() const override { return of_slot_->control_size(); }
  void square_root(ConstView control, View y) const override;
  void square_root_adjoint(ConstView x, View control) const override;

 private:
  std::shared_ptr<const Covariance> of_slot_;
  std::size_t slots_;
  EarlierSlots earlier_;
};

}  // namespace zonda::assimilation
