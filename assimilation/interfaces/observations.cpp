#include "assimilation/interfaces/observations.hpp"

#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {

void Observations::check() const {
  if (!instrument) fail(ErrorKind::data, "observations without an operator");
  if (values.size() != instrument->size() || errors.size() != values.size())
    fail(ErrorKind::data, "{} observed values and {} errors, but the operator gives {}", values.size(), errors.size(),
         instrument->size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) fail(ErrorKind::data, "observation {} is {}, expected a number", i, values[i]);
    if (!(errors[i] > 0) || !std::isfinite(errors[i]))
      fail(ErrorKind::data, "the error of observation {} is {}, expected > 0", i, errors[i]);
  }
}

Vector Observations::departures(ConstView state) const {
  Vector result(size());
  instrument->apply(state, result);
  for (std::size_t i = 0; i < size(); ++i) result[i] = values[i] - result[i];
  return result;
}

void Observations::weigh(View x) const {
  require_size("the vector to weigh", x.size(), size());
  for (std::size_t i = 0; i < size(); ++i) x[i] /= errors[i] * errors[i];
}

}  // namespace zonda::assimilation
