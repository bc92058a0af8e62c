#pragma once
#include <memory>

#include "assimilation/ensemble/inflation.hpp"
#include "assimilation/interfaces/vectors.hpp"

namespace zonda::assimilation {

/// The analysis in the space of N members (Hunt et al. 2007, eqs 21 to 24). With S = R^(-1/2) Y', d = R^(-1/2) (y -
/// mean of H x) and a = (N - 1) / rho, rho the background's inflation: P = (a I + S^T S)^-1, mean weights w = P S^T d,
/// transform T = ((N - 1) P)^(1/2), symmetric. Solved in the space of observations where they are fewer than members.
/// One object per thread.
class EnsembleTransform {
 public:
  explicit EnsembleTransform(std::size_t members);
  ~EnsembleTransform();
  EnsembleTransform(const EnsembleTransform&) = delete;
  EnsembleTransform& operator=(const EnsembleTransform&) = delete;

  /// S [observation, N], d [observation]; `inflation` multiplies the background's covariance.
  void solve(ConstView anomalies, ConstView departures, double inflation = 1);
  /// w [N] and T [N, N] from elsewhere (weight interpolation) instead.
  void use(ConstView weights, ConstView transform);
  ConstView weights() const;    ///< w [N]
  ConstView transform() const;  ///< T [N, N]
  /// Variables of all members [variable, N]: x_j = mean + sum_i x'_i (w_i + T_ij), anomalies inflated. In place.
  void update(const Inflation& inflation, View variables);

 private:
  struct Scratch;
  void form_transform() const;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace zonda::assimilation
