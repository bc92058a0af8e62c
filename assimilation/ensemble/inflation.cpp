#include "assimilation/ensemble/inflation.hpp"

#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

double sum_of_squares(ConstView x) {
  double sum = 0;
  for (const double element : x) sum += element * element;
  return sum;
}

}  // namespace

void Inflation::check() const {
  if (!(factor > 0)) fail(ErrorKind::usage, "inflation factor {}, expected > 0", factor);
  if (!(to_perturbations >= 0 && to_perturbations <= 1))
    fail(ErrorKind::usage, "relaxation to prior perturbations {}, expected 0 to 1", to_perturbations);
  if (!(to_spread >= 0)) fail(ErrorKind::usage, "relaxation to prior spread {}, expected >= 0", to_spread);
}

void inflate(const Inflation& inflation, ConstView background, View analysis) {
  if (inflation.to_perturbations > 0) {
    scale(1 - inflation.to_perturbations, analysis);
    axpy(inflation.to_perturbations, background, analysis);
  }
  double factor = inflation.factor;
  if (inflation.to_spread > 0) {
    const double before = std::sqrt(sum_of_squares(background)), after = std::sqrt(sum_of_squares(analysis));
    if (after > 0) factor *= 1 + inflation.to_spread * (before - after) / after;
  }
  if (factor != 1) scale(factor, analysis);
}

}  // namespace zonda::assimilation
