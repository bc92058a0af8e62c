#pragma once
#include <cstdint>

#include "assimilation/ensemble/ensemble_filter.hpp"
#include "assimilation/ensemble/inflation.hpp"

namespace zonda::assimilation {

/// The ensemble Kalman filter with perturbed observations (Burgers et al. 1998); the perturbations are centred. Needs a
/// whole ensemble.
class StochasticFilter final : public EnsembleFilter {
 public:
  StochasticFilter(const Inflation& inflation, std::uint64_t seed) : inflation_(inflation), seed_(seed) {
    inflation_.check();
  }
  void analyse(Ensemble& ensemble, const Observations& observations, std::size_t cycle) const override;

 private:
  Inflation inflation_;
  std::uint64_t seed_;
};

}  // namespace zonda::assimilation
