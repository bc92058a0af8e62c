#include "inference/edge/station/update_state.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace zonda::edge {
namespace {

constexpr UpdateState states[] = {UpdateState::idle,      UpdateState::polling,      UpdateState::downloading,
                                  UpdateState::verifying, UpdateState::self_testing, UpdateState::swapping,
                                  UpdateState::serving,   UpdateState::rolled_back};

TEST(UpdateState, EveryStateIsReachedFromIdleAndLeadsBack) {
  const auto reach = [](UpdateState from) {
    std::set<UpdateState> reached{from};
    for (std::size_t before = 0; before != reached.size();) {
      before = reached.size();
      for (const auto& t : update_transitions()) {
        if (reached.contains(t.from)) reached.insert(t.to);
      }
    }
    return reached;
  };
  EXPECT_EQ(reach(UpdateState::idle).size(), std::size(states));
  for (const UpdateState state : states) EXPECT_TRUE(reach(state).contains(UpdateState::idle)) << to_string(state);
}

TEST(UpdateState, AnEventLeadsToOneStateOnly) {
  std::set<std::pair<UpdateState, UpdateEvent>> seen;
  for (const auto& t : update_transitions()) EXPECT_TRUE(seen.emplace(t.from, t.event).second) << to_string(t.event);
}

TEST(UpdateState, NothingServesThatWasNotTested) {
  for (const auto& t : update_transitions()) {
    if (t.to == UpdateState::swapping) {
      EXPECT_EQ(t.from, UpdateState::self_testing);
    }
    if (t.to == UpdateState::serving) {
      EXPECT_EQ(t.from, UpdateState::swapping);
    }
    if (t.to == UpdateState::self_testing) {
      EXPECT_EQ(t.from, UpdateState::verifying);
    }
  }
}

TEST(UpdateState, WordsReadBack) {
  for (const UpdateState state : states) EXPECT_EQ(parse_update_state(to_string(state)), state);
  EXPECT_FALSE(parse_update_state("sleeping"));
}

TEST(UpdateState, EventsOutOfPlaceMeanNothing) {
  EXPECT_FALSE(next_state(UpdateState::idle, UpdateEvent::swapped));
  EXPECT_FALSE(next_state(UpdateState::downloading, UpdateEvent::poll_due));
}

}  // namespace
}  // namespace zonda::edge
