#include "inference/edge/station/update_agent.hpp"

#include <gmock/gmock.h>

#include <chrono>

#include "tests/inference/edge/station/small_world.hpp"

namespace zonda::edge {
namespace {

using testing::Contains;
using testing::HasSubstr;

struct UpdateAgentTest : testing::Test {
  fs::path folder = test_folder("update_agent") / testing::UnitTest::GetInstance()->current_test_info()->name();
  MemoryTransport transport;
  SmallHub hub{transport};
  SimulatedClock clock{parse_time("2026-03-01T00:00")};
  DownloadPolicy policy{.attempts = 3, .reserve_bytes = 0};
  int heartbeats = 0;
  std::vector<std::string> calls;  // prepared and opened
  std::unique_ptr<UpdateAgent> agent;
  void SetUp() override {
    fs::remove_all(folder);
    restart();
  }
  void TearDown() override {
    agent.reset();
    fs::remove_all(folder);
  }
  void restart() {
    agent.reset();
    const OpenModel open = [this, of = open_small_model()](const fs::path& bundle) {
      calls.push_back("open " + bundle.filename().string());
      return of(bundle);
    };
    const PrepareModel prepare = [this](const fs::path& bundle) {
      calls.push_back("prepare " + bundle.filename().string() + (fs::is_empty(bundle) ? " too early" : ""));
    };
    agent = std::make_unique<UpdateAgent>(folder, "one", policy,
                                          UpdateAgent::Parts{.hub = hub,
                                                             .transport = transport,
                                                             .clock = clock,
                                                             .open = open,
                                                             .heartbeat = [this] { ++heartbeats; },
                                                             .prepare = prepare});
    agent->recover();
  }
  void poll() { agent->poll(clock.utc()); }
  std::string version() const { return agent->summary().release ? agent->summary().release->version : "none"; }
  std::vector<std::string> journal() const {
    std::vector<std::string> lines;
    for (const auto& record : Journal::read(folder / "journal"))
      lines.push_back(record.at("from").get<std::string>() + " -> " + record.at("to").get<std::string>());
    return lines;
  }
};

TEST_F(UpdateAgentTest, BringsAModelFromNothing) {
  EXPECT_EQ(agent->model(), nullptr);
  hub.assign("1");
  poll();
  EXPECT_EQ(version(), "1");
  EXPECT_NE(agent->model(), nullptr);
  EXPECT_EQ(agent->summary().state, UpdateState::serving);
  EXPECT_TRUE(agent->summary().on_trial);
  agent->judge_trial(true, "", clock.utc());
  EXPECT_EQ(agent->summary().state, UpdateState::idle);
  EXPECT_THAT(journal(),
              testing::ElementsAre("polling -> downloading", "downloading -> verifying", "verifying -> self-testing",
                                   "self-testing -> swapping", "swapping -> serving", "serving -> idle"));
  EXPECT_GT(heartbeats, 5);
}

TEST_F(UpdateAgentTest, PreparesWhatItHasVerifiedAndOpensItAfterwards) {
  hub.assign("1");
  poll();
  hub.assign("2");
  poll();
  ASSERT_EQ(calls.size(), 4U);
  const std::string first = calls[1].substr(5), second = calls[3].substr(5);
  EXPECT_NE(first, second);
  EXPECT_EQ(calls,
            (std::vector<std::string>{"prepare " + first, "open " + first, "prepare " + second, "open " + second}));
}

TEST_F(UpdateAgentTest, WhatIsAssignedAlreadyIsLeftAlone) {
  hub.assign("1");
  poll();
  const auto before = journal().size();
  poll();
  poll();
  EXPECT_EQ(journal().size(), before + 1) << "only that the first is proved";
}

TEST_F(UpdateAgentTest, AReleaseThatFailsItsSelfTestNeverServes) {
  hub.assign("1");
  poll();
  const auto model = agent->model();
  hub.assign("2", "fails its self-test");
  const auto begin = std::chrono::steady_clock::now();
  poll();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_EQ(version(), "1");
  EXPECT_EQ(agent->model(), model) << "not even opened again";
  EXPECT_EQ(agent->summary().rollbacks, 1);
  EXPECT_THAT(agent->summary().problem, HasSubstr("the output is not the golden one"));
  EXPECT_THAT(journal(), Contains("self-testing -> rolled back"));
  const int polls = hub.polls;
  const auto lines = journal().size();
  poll();
  EXPECT_EQ(hub.polls, polls + 1);
  EXPECT_EQ(journal().size(), lines) << "it is not tried again";
  restart();
  poll();
  EXPECT_EQ(version(), "1");
  EXPECT_EQ(agent->summary().rollbacks, 0) << "nor after a restart";
}

TEST_F(UpdateAgentTest, AReleaseThatCannotEvenBeOpened) {
  hub.assign("1");
  poll();
  hub.assign("2", "breaks when opened");
  poll();
  EXPECT_EQ(version(), "1");
  hub.assign("3");
  poll();
  EXPECT_EQ(version(), "3");
}

TEST_F(UpdateAgentTest, AFailedTrialBringsTheModelBeforeBackWithinASecond) {
  hub.assign("1");
  poll();
  agent->judge_trial(true, "", clock.utc());
  hub.assign("2", "fails its forecast");
  poll();
  EXPECT_EQ(version(), "2");
  const auto begin = std::chrono::steady_clock::now();
  agent->judge_trial(false, "2t is 1e6 K", clock.utc());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_EQ(version(), "1");
  EXPECT_EQ(agent->slots().release(*agent->slots().serving())->version, "1");
  EXPECT_EQ(agent->summary().state, UpdateState::idle);
  EXPECT_EQ(agent->summary().problem, "2t is 1e6 K");
  poll();
  EXPECT_EQ(version(), "1");
  restart();
  EXPECT_EQ(version(), "1");
}

TEST_F(UpdateAgentTest, ATrialFailsLateToo) {
  hub.assign("1");
  poll();
  agent->judge_trial(true, "", clock.utc());
  hub.assign("2", "fails its forecast");
  poll();
  poll();  // no feed in between
  EXPECT_EQ(agent->summary().state, UpdateState::idle);
  EXPECT_TRUE(agent->summary().on_trial);
  agent->judge_trial(false, "late", clock.utc());
  EXPECT_EQ(version(), "1");
}

TEST_F(UpdateAgentTest, TheFirstModelOfAllIsKeptWhateverItsTrial) {
  hub.assign("1", "fails its forecast");
  poll();
  agent->judge_trial(false, "2t is 1e6 K", clock.utc());
  EXPECT_EQ(version(), "1") << "there is none before it";
  EXPECT_EQ(agent->summary().state, UpdateState::idle);
}

TEST_F(UpdateAgentTest, ACutDownloadGoesOnAtTheNextPoll) {
  hub.assign("1", "good", 300000);
  transport.cut_after = 40000;
  policy.attempts = 1;
  restart();
  poll();
  EXPECT_EQ(version(), "none");
  EXPECT_EQ(agent->summary().state, UpdateState::idle);
  EXPECT_THAT(agent->summary().problem, HasSubstr("cut"));
  for (int i = 0; i < 10; ++i) {
    restart();
    poll();
  }
  EXPECT_EQ(version(), "1");
}

TEST_F(UpdateAgentTest, ForgedBytesAreRefused) {
  hub.assign("1");
  poll();
  hub.assign("2");
  transport.files.at("hub:/2/weights.bin")[5] ^= 1;
  poll();
  EXPECT_EQ(version(), "1");
  EXPECT_THAT(agent->summary().problem, HasSubstr("SHA-256"));
}

TEST_F(UpdateAgentTest, ADamagedModelOnDiskIsReplacedByTheOneBefore) {
  hub.assign("1");
  poll();
  agent->judge_trial(true, "", clock.utc());
  hub.assign("2");
  poll();
  agent->judge_trial(true, "", clock.utc());
  const fs::path weights = agent->slots().path(*agent->slots().serving()) / "weights.bin";
  agent.reset();
  fs::permissions(weights, fs::perms::owner_all);
  {
    std::fstream file(weights, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(1000);
    file.put('!');
  }
  restart();
  EXPECT_EQ(version(), "1");
  EXPECT_EQ(agent->slots().release(*agent->slots().serving())->version, "1");
}

TEST_F(UpdateAgentTest, WithoutAnyGoodModelItIsFetchedAgain) {
  hub.assign("1");
  poll();
  const fs::path weights = agent->slots().path(*agent->slots().serving()) / "weights.bin";
  agent.reset();
  fs::permissions(weights, fs::perms::owner_all);
  std::ofstream(weights) << std::string(100000, 'x');
  restart();
  EXPECT_EQ(agent->model(), nullptr);
  poll();
  EXPECT_EQ(agent->summary().problem, "weights.bin: damaged on disk") << "found when it is read again";
  poll();
  EXPECT_NE(agent->model(), nullptr);
  EXPECT_EQ(version(), "1");
}

TEST_F(UpdateAgentTest, AFullDiskKeepsTheModelThatServes) {
  hub.assign("1");
  poll();
  policy.reserve_bytes = std::uint64_t{1} << 60;
  restart();
  hub.assign("2");
  poll();
  EXPECT_EQ(version(), "1");
  EXPECT_THAT(agent->summary().problem, HasSubstr("MB free"));
}

TEST_F(UpdateAgentTest, UnreferencedContentGoes) {
  for (const std::string v : {"1", "2", "3", "4"}) {
    hub.assign(v);
    poll();
    agent->judge_trial(true, "", clock.utc());
  }
  std::set<std::string> kept;
  for (const auto& entry : fs::directory_iterator(folder / "content")) {
    if (entry.is_regular_file()) kept.insert(entry.path().filename());
  }
  EXPECT_EQ(kept, agent->referenced());
  EXPECT_EQ(kept.size(), 4U) << "two files of each of two releases";
}

TEST_F(UpdateAgentTest, TheHubMayOrderAnOlderReleaseBack) {
  hub.assign("1");
  poll();
  agent->judge_trial(true, "", clock.utc());
  hub.assign("2");
  poll();
  agent->judge_trial(true, "", clock.utc());
  hub.assign("1");
  poll();
  EXPECT_EQ(version(), "1");
}

TEST_F(UpdateAgentTest, AnUnreachableHubChangesNothing) {
  hub.assign("1");
  poll();
  transport.down = true;
  hub.assign("2");
  poll();
  EXPECT_EQ(version(), "1");
  EXPECT_FALSE(agent->summary().hub_reached);
}

}  // namespace
}  // namespace zonda::edge
