#pragma once
#include "assimilation/interfaces/cost_function.hpp"

namespace zonda::assimilation {

/// Conjugate gradients for quadratic costs; the Hessian acts as a difference of two gradients.
class ConjugateGradient final : public Minimiser {
 public:
  explicit ConjugateGradient(std::size_t iterations = 200, double tolerance = 1e-10)
      : iterations_(iterations), tolerance_(tolerance) {}
  Minimum minimise(const CostFunction& cost, ConstView start) const override;

 private:
  std::size_t iterations_;
  double tolerance_;
};

}  // namespace zonda::assimilation
