#pragma once
#include <memory>

#include "assimilation/ensemble/inflation.hpp"
#include "assimilation/interfaces/vectors.hpp"

namespace zonda::assimilation {

/// The analysis in the space of N members (Hunt et al. 2007, eqs 21 to 24). With S = R^(-1/2) Y' and d = R^(-1/2) (y -
/// mean of H x): P = ((N - 1) I + S^T S)^-1, mean weights w = P S^T d, transform T = ((N - 1) P)^(1/2), symmetric. One
/// object per thread.
class EnsembleTransform {
 public:
  explicit EnsembleTransform(std::size_t members);
  ~EnsembleTransform();
  EnsembleTransform(const EnsembleTransform&) = delete;
  EnsembleTransform& operator=(const EnsembleTransform&) = delete;

  /// S [observation, N], d [observation].
  void solve(ConstView anomalies, ConstView departures);
  ConstView weights() const;    ///< w [N]
  ConstView transform() const;  ///< T [N, N]
  /// One variable of all members [N]: x_j = mean + sum_i x'_i (w_i + T_ij), its anomalies inflated. In place.
  void update(const Inflation& inflation, View variable);

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace zonda::assimilation
