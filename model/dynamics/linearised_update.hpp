#pragma once
// The linear part of a time step of the dry equations and its transpose: semi-implicit solution, friction, diffusion,
// Robert-Asselin-Williams filter (PrimitiveEquations::update).
#include <Eigen/Core>
#include <vector>

#include "model/dynamics/primitive_equations.hpp"

namespace zonda::model {

/// Changes of both time levels, or sensitivities to them.
struct TimeLevels {
  SpectralState previous, now;
};

class LinearisedUpdate {
 public:
  /// For a step over two half intervals [s]; `flat`: no ground, so that diffusion follows no slope.
  LinearisedUpdate(const CoreParameters& parameters, bool flat, double half_interval, bool filter);
  /// `tendency`: from the grid, of vorticity, divergence, temperature and log pressure.
  void tangent(const SpectralState& tendency, TimeLevels& levels) const;
  /// `levels` becomes the sensitivity to those before; `tendency` is overwritten.
  void adjoint(TimeLevels& levels, SpectralState& tendency) const;

 private:
  using Vector = Eigen::VectorXd;
  CoreParameters parameters_;
  SpectralIndex index_;
  double half_, interval_, nu_, alpha_;
  Eigen::MatrixXd geopotential_, compression_;
  Vector thickness_, friction_, slope_;
  std::vector<Eigen::MatrixXd> inverse_;  ///< [n]
  std::vector<double> diffusion_;         ///< [n], 1/s
};

}  // namespace zonda::model
