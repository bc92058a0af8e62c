#pragma once
#include "assimilation/ensemble/ensemble.hpp"
#include "assimilation/interfaces/observations.hpp"

namespace zonda::assimilation {

class EnsembleFilter {
 public:
  virtual ~EnsembleFilter() = default;
  /// Background members become analysis members. `cycle` numbers the random draws, if any.
  virtual void analyse(Ensemble& ensemble, const Observations& observations, std::size_t cycle) const = 0;
};

}  // namespace zonda::assimilation
