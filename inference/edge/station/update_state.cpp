#include "inference/edge/station/update_state.hpp"

#include <array>

namespace zonda::edge {
namespace {

using enum UpdateState;
using enum UpdateEvent;

constexpr std::array transitions = {
    UpdateTransition{idle, poll_due, polling},
    UpdateTransition{polling, unreachable, idle},
    UpdateTransition{polling, nothing_new, idle},
    UpdateTransition{polling, release_found, downloading},
    UpdateTransition{downloading, fetched, verifying},
    UpdateTransition{downloading, not_fetched, idle},
    UpdateTransition{verifying, verified, self_testing},
    UpdateTransition{verifying, damaged, idle},
    UpdateTransition{self_testing, test_passed, swapping},
    UpdateTransition{self_testing, test_failed, rolled_back},
    UpdateTransition{swapping, swapped, serving},
    UpdateTransition{swapping, not_swapped, rolled_back},
    UpdateTransition{serving, proved, idle},
    UpdateTransition{serving, trial_failed, rolled_back},
    UpdateTransition{idle, trial_failed, rolled_back},
    UpdateTransition{rolled_back, settled, idle},
};

}  // namespace

std::span<const UpdateTransition> update_transitions() {
  return transitions;
}

std::optional<UpdateState> next_state(UpdateState from, UpdateEvent event) {
  for (const UpdateTransition& transition : transitions) {
    if (transition.from == from && transition.event == event) return transition.to;
  }
  return std::nullopt;
}

std::string_view to_string(UpdateState state) {
  switch (state) {
    case idle:
      return "idle";
    case polling:
      return "polling";
    case downloading:
      return "downloading";
    case verifying:
      return "verifying";
    case self_testing:
      return "self-testing";
    case swapping:
      return "swapping";
    case serving:
      return "serving";
    case rolled_back:
      return "rolled back";
  }
  return "";
}

std::string_view to_string(UpdateEvent event) {
  switch (event) {
    case poll_due:
      return "poll due";
    case unreachable:
      return "unreachable";
    case nothing_new:
      return "nothing new";
    case release_found:
      return "release found";
    case fetched:
      return "fetched";
    case not_fetched:
      return "not fetched";
    case verified:
      return "verified";
    case damaged:
      return "damaged";
    case test_passed:
      return "test passed";
    case test_failed:
      return "test failed";
    case swapped:
      return "swapped";
    case not_swapped:
      return "not swapped";
    case proved:
      return "proved";
    case trial_failed:
      return "trial failed";
    case settled:
      return "settled";
  }
  return "";
}

std::optional<UpdateState> parse_update_state(std::string_view word) {
  for (const UpdateState state :
       {idle, polling, downloading, verifying, self_testing, swapping, serving, rolled_back}) {
    if (to_string(state) == word) return state;
  }
  return std::nullopt;
}

}  // namespace zonda::edge
