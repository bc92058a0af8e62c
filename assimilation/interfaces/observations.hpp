#pragma once
#include <memory>
#include <vector>

#include "assimilation/interfaces/observation_operator.hpp"
#include "assimilation/interfaces/position.hpp"

namespace zonda::assimilation {

/// Observations of one time with independent errors: R = diag(errors^2).
struct Observations {
  std::shared_ptr<const ObservationOperator> instrument;
  Vector values;                    ///< [instrument->size()]
  Vector errors;                    ///< standard deviations, > 0
  std::vector<Position> positions;  ///< needed by localisation only

  std::size_t size() const { return values.size(); }
  /// Throws Error(data) naming the observation where sizes differ, a value is not finite or an error not positive.
  void check() const;
  /// values - H(state)
  Vector departures(ConstView state) const;
  /// R^-1 x, in place
  void weigh(View x) const;
};

}  // namespace zonda::assimilation
