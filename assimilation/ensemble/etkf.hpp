#pragma once
#include "assimilation/ensemble/ensemble_filter.hpp"
#include "assimilation/ensemble/inflation.hpp"

namespace zonda::assimilation {

/// Ensemble transform Kalman filter with the symmetric root (Bishop et al. 2001; Hunt et al. 2007). Needs a whole
/// ensemble. Without observations the members stay as they are.
class Etkf final : public EnsembleFilter {
 public:
  explicit Etkf(const Inflation& inflation) : inflation_(inflation) { inflation_.check(); }
  void analyse(Ensemble& ensemble, const Observations& observations, std::size_t cycle) const override;

 private:
  Inflation inflation_;
};

}  // namespace zonda::assimilation
