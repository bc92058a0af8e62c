#pragma once
#include "assimilation/interfaces/cost_function.hpp"

namespace zonda::assimilation {

/// Limited-memory BFGS (Liu & Nocedal 1989) with a bisecting line search for the weak Wolfe conditions. Ends when the
/// gradient has fallen to `tolerance` of its start, after `iterations`, or where rounding lets J fall no further.
class Lbfgs final : public Minimiser {
 public:
  explicit Lbfgs(std::size_t iterations = 200, double tolerance = 1e-8, std::size_t memory = 10)
      : iterations_(iterations), tolerance_(tolerance), memory_(memory) {}
  Minimum minimise(const CostFunction& cost, ConstView start) const override;

 private:
  std::size_t iterations_;
  double tolerance_;
  std::size_t memory_;
};

}  // namespace zonda::assimilation
