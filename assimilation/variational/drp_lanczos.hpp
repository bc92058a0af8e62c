#pragma once
#include <functional>
#include <vector>

#include "assimilation/interfaces/covariance.hpp"

namespace zonda::assimilation {

/// A vector of state space with what B^-1 makes of it, carried along so that B^-1 is never applied.
struct DualPair {
  Vector primal, dual;  ///< primal = B dual
};

/// Preconditions (B^-1 + A) by B and, once there are Ritz pairs, by the spectrum they know (Tshimanga et al. 2008):
/// P = B + sum over pairs of (1/theta - 1) u u^T, with u^T B^-1 u = 1.
class SpectralPreconditioner {
 public:
  explicit SpectralPreconditioner(const Covariance& background) : background_(background) {}
  /// (P v, B^-1 P v)
  DualPair apply(ConstView v) const;
  void learn(double ritz_value, DualPair ritz_vector) { pairs_.push_back({ritz_value, std::move(ritz_vector)}); }
  bool empty() const { return pairs_.empty(); }

 private:
  struct RitzPair {
    double value;
    DualPair vector;
  };
  const Covariance& background_;
  std::vector<RitzPair> pairs_;
};

struct LanczosSettings {
  std::size_t iterations = 100;
  double tolerance = 1e-10;  ///< of the preconditioned gradient's norm, relative to its start
};

struct LanczosResult {
  DualPair increment;
  Vector decrease;            ///< of the quadratic cost after each iteration, from that of the zero increment
  double gradient_ratio = 0;  ///< reached
  std::vector<double> ritz_values;
  std::vector<DualPair> ritz_vectors;  ///< those that have converged to a hundredth of their value
};

/// Derber-Rosati-preconditioned Lanczos (Derber & Rosati 1989; Guerol et al. 2014): minimises
/// 1/2 s^T (B^-1 + A) s - r^T s. `curvature` is A; basis vectors are re-orthogonalised in full.
LanczosResult drp_lanczos(const std::function<Vector(ConstView)>& curvature,
                          const SpectralPreconditioner& preconditioner, ConstView right_side,
                          const LanczosSettings& settings);

}  // namespace zonda::assimilation
