#pragma once
#include <cstdint>
#include <vector>

#include "assimilation/ensemble/ensemble.hpp"

namespace zonda::assimilation {

/// Additive inflation (Mitchell & Houtekamer 2000; Whitaker et al. 2008): to the last numbers of each member it adds
/// `factor` times one of `samples`, of model errors. Draws differ among members where there are enough samples, and are
/// centred, so that the ensemble's mean stays. Keyed by (seed, draw): the same on any ranks.
class AdditiveInflation {
 public:
  /// Throws Error(usage) where there are no samples, they differ in size, or the factor is not positive.
  AdditiveInflation(std::vector<Vector> samples, double factor, std::uint64_t seed);
  void perturb(Ensemble& ensemble, std::uint64_t draw) const;
  /// Index of the sample of each member.
  std::vector<std::size_t> drawn(std::size_t members, std::uint64_t draw) const;

 private:
  std::vector<Vector> samples_;
  double factor_;
  std::uint64_t seed_;
};

}  // namespace zonda::assimilation
