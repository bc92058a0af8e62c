#pragma once
#include "assimilation/interfaces/vectors.hpp"

namespace zonda::assimilation {

class CostFunction {
 public:
  virtual ~CostFunction() = default;
  virtual std::size_t size() const = 0;
  /// J(x); `gradient` is overwritten with dJ/dx.
  virtual double evaluate(ConstView x, View gradient) const = 0;
};

struct Minimum {
  Vector x;
  Vector costs;           ///< after each iteration, the start first
  double gradient_ratio;  ///< |gradient| at the end over that at the start
};

class Minimiser {
 public:
  virtual ~Minimiser() = default;
  virtual Minimum minimise(const CostFunction& cost, ConstView start) const = 0;
};

}  // namespace zonda::assimilation
