#pragma once
#include "assimilation/interfaces/covariance.hpp"
#include "assimilation/variational/drp_lanczos.hpp"
#include "assimilation/variational/window.hpp"

namespace zonda::assimilation {

struct IncrementalSettings {
  std::size_t outer_iterations = 3;
  LanczosSettings inner;
  bool spectral_preconditioner = true;  ///< Ritz pairs of the first inner loop serve the later ones
  double outer_tolerance = 1e-8;        ///< ends when the increment's root mean square is below this, in state units
};

struct VariationalAnalysis {
  Vector state;                               ///< at the window's beginning
  double background_cost, observation_cost;   ///< of that state, nonlinear
  Vector costs;                               ///< nonlinear J before each outer iteration and at the end
  std::vector<std::size_t> inner_iterations;  ///< of each outer iteration
};

/// Incremental variational analysis (Courtier et al. 1994): Gauss-Newton outer iterations on
/// J(x) = 1/2 (x - x_b)^T B^-1 (x - x_b) + J_o(x), each a quadratic problem for drp_lanczos. 3D-Var, 3D-FGAT or 4D-Var
/// by the window.
VariationalAnalysis incremental_variational(const Window& window, ConstView background, const Covariance& covariance,
                                            const IncrementalSettings& settings);

}  // namespace zonda::assimilation
