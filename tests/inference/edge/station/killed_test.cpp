// kill -9 at random moments of an update: whatever was happening, a valid model serves afterwards.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "tests/inference/edge/station/small_world.hpp"

namespace zonda::edge {
namespace {

constexpr std::size_t weight_bytes = 200000;

/// Updates from one release to the next until it is killed, slowly enough to be killed in every state.
[[noreturn]] void update_for_ever(const fs::path& folder, int first) {
  MemoryTransport transport;
  transport.between_pieces = [] { std::this_thread::sleep_for(std::chrono::microseconds(20)); };
  SmallHub hub(transport);
  SimulatedClock clock(parse_time("2026-03-01T00:00"));
  UpdateAgent agent(folder, "one", {.reserve_bytes = 0}, {hub, transport, clock, open_small_model()});
  agent.recover();
  for (int version = first;; ++version) {
    const bool bad = version % 5 == 0;
    hub.assign(std::to_string(version), bad ? "fails its self-test" : "good", weight_bytes);
    agent.poll(clock.utc());
    agent.judge_trial(version % 7 != 0, "bad forecast", clock.utc());
  }
}

TEST(Killed, AtAHundredMomentsAValidModelServes) {
  const fs::path folder = fs::path(testing::TempDir()) / "killed_test";
  fs::remove_all(folder);
  log::set_level(log::Level::error);
  {  // the station has a model, as every station that was set up
    MemoryTransport transport;
    SmallHub hub(transport);
    SimulatedClock clock(parse_time("2026-03-01T00:00"));
    UpdateAgent agent(folder, "one", {.reserve_bytes = 0}, {hub, transport, clock, open_small_model()});
    hub.assign("1", "good", weight_bytes);
    agent.poll(clock.utc());
    ASSERT_NE(agent.model(), nullptr);
  }
  const Philox random(20260301, "moments");
  std::map<std::string, int> killed_in;
  for (int kill = 0; kill < 100; ++kill) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) update_for_ever(folder, 2 + kill * 1000);
    const auto moment = std::chrono::microseconds(5000 + random.integer(static_cast<std::uint64_t>(kill), 300000));
    std::this_thread::sleep_for(moment);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";

    // What a reader that knows nothing of the agent finds.
    const Slots slots(folder / "models");
    const auto serving = slots.serving();
    ASSERT_TRUE(serving) << "kill " << kill;
    SmallModel model(folder / "models" / "serving");
    ASSERT_NO_THROW(model.self_test()) << "kill " << kill;

    const auto records = Journal::read(folder / "journal");
    ASSERT_FALSE(records.empty());
    ++killed_in[records.back().at("to")];

    // And the agent goes on from there.
    MemoryTransport transport;
    transport.down = true;
    SmallHub hub(transport);
    SimulatedClock clock(parse_time("2026-03-01T00:00"));
    UpdateAgent agent(folder, "one", {.reserve_bytes = 0}, {hub, transport, clock, open_small_model()});
    agent.recover();
    ASSERT_NE(agent.model(), nullptr) << "kill " << kill;
    ASSERT_EQ(agent.summary().slot, serving) << "kill " << kill;
  }
  for (const auto& [state, times] : killed_in) std::printf("killed %d times while %s\n", times, state.c_str());
  EXPECT_GE(killed_in.size(), 4U);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace zonda::edge
