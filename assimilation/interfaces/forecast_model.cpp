#include "assimilation/interfaces/forecast_model.hpp"

#include <exception>

namespace zonda::assimilation {

void ForecastModel::step_members(std::size_t n, std::span<const View> states) const {
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic)
  for (std::size_t j = 0; j < states.size(); ++j) try {
      step(n, states[j]);
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace zonda::assimilation
