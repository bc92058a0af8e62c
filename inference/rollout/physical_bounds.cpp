#include "inference/rollout/physical_bounds.hpp"

#include "core/error.hpp"

namespace zonda::inference {

void apply_physical_bounds(State& state) {
  for (std::size_t c = 0; c < state.channels.size(); ++c) {
    const model::Bounds bounds = physical_bounds(state.channels[c].info());
    const auto lower = static_cast<float>(bounds.lower), upper = static_cast<float>(bounds.upper);
    // Written so that NaN stays NaN for the range check to find.
    for (float& value : state.field(c)) value = value < lower ? lower : value > upper ? upper : value;
  }
}

void require_physical_range(const State& state, const std::string& what) {
  const std::size_t nlon = state.grid.nlon();
  for (std::size_t c = 0; c < state.channels.size(); ++c) {
    const Variable& variable = state.channels[c].info();
    const auto field = state.field(c);
    for (std::size_t i = 0; i < field.size(); ++i)
      if (!(field[i] >= variable.valid_min && field[i] <= variable.valid_max))
        fail(ErrorKind::numerical, "{}: {} at {} is {} {} at {:.2f} N, {:.2f} E, outside the physical range {} to {}",
             what, state.channels[c].name(), to_string(state.time), field[i], variable.unit,
             state.grid.latitudes()[i / nlon], state.grid.longitudes()[i % nlon], variable.valid_min,
             variable.valid_max);
  }
}

}  // namespace zonda::inference
