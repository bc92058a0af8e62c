#pragma once
// The states of an update and what leads from one to the next, as one table.
#include <optional>
#include <span>
#include <string_view>

namespace zonda::edge {

enum class UpdateState {
  idle,          ///< nothing is under way
  polling,       ///< asking the hub what this station should run
  downloading,   ///< fetching what the store does not hold
  verifying,     ///< reading every byte again from the disk, and laying out the spare slot
  self_testing,  ///< running the model of the spare slot on its own golden input
  swapping,      ///< the spare slot becomes the serving one
  serving,       ///< the new model is on trial: its first forecast decides
  rolled_back,   ///< the new model was refused; the one before serves
};

enum class UpdateEvent {
  poll_due,
  unreachable,    ///< no hub, or no valid metadata
  nothing_new,    ///< what is assigned is what serves
  release_found,  ///< another model is assigned
  fetched,
  not_fetched,  ///< given up for now; what came is kept
  verified,
  damaged,  ///< what is on the disk is not what was signed
  test_passed,
  test_failed,
  swapped,
  not_swapped,   ///< the disk refused
  proved,        ///< a forecast was made, or there is no feed to make one
  trial_failed,  ///< the forecast failed or was not physical
  settled,       ///< the model before serves again
};

struct UpdateTransition {
  UpdateState from;
  UpdateEvent event;
  UpdateState to;
};

std::span<const UpdateTransition> update_transitions();
/// Nothing: the event means nothing in that state.
std::optional<UpdateState> next_state(UpdateState from, UpdateEvent event);

std::string_view to_string(UpdateState state);
std::string_view to_string(UpdateEvent event);
/// Inverse of to_string; nothing for an unknown word.
std::optional<UpdateState> parse_update_state(std::string_view word);

}  // namespace zonda::edge
