#include "assimilation/cycling/window_states.hpp"

#include "core/error.hpp"

namespace zonda::assimilation {

std::vector<Vector> observed_truths(Truth& truth, const std::vector<Time>& times, Time analysis) {
  std::vector<Vector> states;
  std::size_t n = 0;
  for (; n < times.size() && times[n] <= analysis; ++n) {
    truth.go_to(times[n]);
    states.emplace_back(truth.state().begin(), truth.state().end());
  }
  if (n == 0 || times[n - 1] != analysis) truth.go_to(analysis);
  for (; n < times.size(); ++n) {
    std::optional<Vector> later = truth.at(times[n]);
    if (!later) fail(ErrorKind::data, "the truth ends before {}, which is observed", to_string(times[n]));
    states.push_back(std::move(*later));
  }
  return states;
}

Vector analysed_states(const AtmosphereModel& model, const ObservationWindow& window, const Vector& background,
                       Vector analysis, const Vector& start) {
  if (window.states == 0) return analysis;
  const std::size_t width = model.layout.slot_size, lag = model.layout.slots - 1;
  Vector states = background;
  if (!start.empty()) {
    Vector state = start;
    copy(state, View(states).first(state.size()));
    for (std::size_t n = 1; n < window.states; ++n) {
      const Time time = window.begin + static_cast<std::int64_t>(n) * model.step;
      step_to(model, time - model.step, time, View(state));
      copy(ConstView(state).last(width), View(states).subspan((n + lag) * width, width));
    }
    return states;
  }
  const auto now = lag + static_cast<std::size_t>((window.time - window.begin) / model.step);
  const Vector increment =
      difference(ConstView(analysis).last(width), ConstView(background).subspan(now * width, width));
  for (std::size_t s = 0; s < window.slots.count; ++s) axpy(1, increment, View(states).subspan(s * width, width));
  return states;
}

}  // namespace zonda::assimilation
