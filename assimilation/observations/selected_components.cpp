#include "assimilation/observations/selected_components.hpp"

#include <algorithm>
#include <numeric>

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

std::vector<std::size_t> all_of(std::size_t size) {
  std::vector<std::size_t> result(size);
  std::iota(result.begin(), result.end(), std::size_t{0});
  return result;
}

}  // namespace

SelectedComponents::SelectedComponents(std::size_t state_size, std::vector<std::size_t> components)
    : state_size_(state_size), components_(std::move(components)) {
  for (const std::size_t c : components_)
    if (c >= state_size) fail(ErrorKind::usage, "observed component {} of a state of {}", c, state_size);
}

SelectedComponents::SelectedComponents(std::size_t state_size) : SelectedComponents(state_size, all_of(state_size)) {}

void SelectedComponents::apply(ConstView state, View values) const {
  require_size("the observed state", state.size(), state_size_);
  for (std::size_t i = 0; i < components_.size(); ++i) values[i] = state[components_[i]];
}

void SelectedComponents::tangent(ConstView, ConstView perturbation, View values) const {
  apply(perturbation, values);
}

void SelectedComponents::adjoint(ConstView, ConstView values, View sensitivity) const {
  std::fill(sensitivity.begin(), sensitivity.end(), 0);
  for (std::size_t i = 0; i < components_.size(); ++i) sensitivity[components_[i]] += values[i];
}

}  // namespace zonda::assimilation
