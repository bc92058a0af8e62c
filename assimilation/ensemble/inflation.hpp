#pragma once
#include "assimilation/interfaces/vectors.hpp"

namespace zonda::assimilation {

/// How analysis anomalies are widened again; the relaxations first, then the factor.
struct Inflation {
  double factor = 1;            ///< of the analysis anomalies
  double to_perturbations = 0;  ///< RTPP (Zhang et al. 2004): share of the background's anomalies
  double to_spread = 0;         ///< RTPS (Whitaker & Hamill 2012): share of the background's spread
  void check() const;           ///< Error(usage) naming what is out of range
};

/// One variable's anomalies [member] before and after the analysis; `analysis` is changed.
void inflate(const Inflation& inflation, ConstView background, View analysis);

}  // namespace zonda::assimilation
