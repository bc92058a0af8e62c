#include "assimilation/covariance/repeated_covariance.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace zonda::assimilation {

RepeatedCovariance::RepeatedCovariance(std::shared_ptr<const Covariance> of_slot, std::size_t slots,
                                       EarlierSlots earlier)
    : of_slot_(std::move(of_slot)), slots_(slots), earlier_(earlier) {
  if (slots == 0) fail(ErrorKind::usage, "a covariance of no time slots");
}

void RepeatedCovariance::square_root(ConstView control, View y) const {
  require_size("the state", y.size(), size());
  const std::size_t one = of_slot_->size();
  const View present = y.last(one);
  of_slot_->square_root(control, present);
  for (std::size_t s = 0; s + 1 < slots_; ++s)
    if (earlier_ == EarlierSlots::same)
      copy(present, y.subspan(s * one, one));
    else
      std::fill_n(y.begin() + static_cast<std::ptrdiff_t>(s * one), one, 0.0);
}

void RepeatedCovariance::square_root_adjoint(ConstView x, View control) const {
  require_size("the state", x.size(), size());
  const std::size_t one = of_slot_->size();
  Vector sum(x.end() - static_cast<std::ptrdiff_t>(one), x.end());
  for (std::size_t s = 0; s + 1 < slots_ && earlier_ == EarlierSlots::same; ++s) axpy(1, x.subspan(s * one, one), sum);
  of_slot_->square_root_adjoint(sum, control);
}

}  // namespace zonda::assimilation
