// Ranks as threads that skip, hang and tarry.
#include "parallel/faults/watchdog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "communicator_checks.hpp"
#include "core/error.hpp"
#include "parallel/faults/step_times.hpp"
#include "parallel/faults/watched_world.hpp"

namespace zonda::parallel {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Holds one rank up where it enters an operation.
class Delay : public Observer {
 public:
  Delay(std::string operation, double seconds) : operation_(std::move(operation)), seconds_(seconds) {}
  std::uint64_t begin(const Call& call) override {
    if (call.operation.name == operation_) std::this_thread::sleep_for(std::chrono::duration<double>(seconds_));
    return 0;
  }
  void end(std::uint64_t) override {}

 private:
  std::string operation_;
  double seconds_;
};

struct Outcome {
  std::string explanation, calls;
  int exit_code = 0;
  double seconds = 0;
};

/// Runs `body` on threads under watchdogs.
Outcome watched(int ranks, double deadline,
                const std::function<void(const Communicator&, const std::atomic<bool>& ended)>& body) {
  Outcome outcome;
  std::mutex mutex;
  std::atomic<bool> ended = false;
  const auto board = make_local_board(ranks);
  const auto start = std::chrono::steady_clock::now();
  try {
    run_on_threads(ranks, [&](const Communicator& plain) {
      const auto recorder = std::make_shared<FlightRecorder>();
      const Communicator c = observed(plain, recorder);
      const Watchdog watchdog(c.rank(), recorder, board, deadline,
                              [&, plain](const std::string& explanation, const std::string& calls) {
                                const std::scoped_lock lock(mutex);
                                if (!explanation.empty()) outcome.explanation = explanation, outcome.calls = calls;
                                ended = true;
                                plain.abandon(explanation);
                              });
      body(c, ended);
    });
  } catch (const Error& error) {
    outcome.exit_code = error.exit_code();
  }
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

void exchange(const Communicator& c) {
  std::vector<std::byte> mine(8), all(8 * static_cast<std::size_t>(c.size()));
  c.all_gather(mine, all).wait();
}

void hang(const std::atomic<bool>& until) {
  while (!until) std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

TEST(Watchdog, leaves_all_operations_as_they_are) {
  for (const CommunicatorCheck& check : communicator_checks()) {
    const Outcome outcome = watched(3, 60, [&](const Communicator& c, const std::atomic<bool>&) { check.run(c); });
    EXPECT_EQ(outcome.exit_code, 0) << check.name;
    EXPECT_EQ(outcome.explanation, "") << check.name;
  }
}

TEST(Watchdog, names_a_rank_that_hangs) {
  const Outcome outcome = watched(4, 1, [](const Communicator& c, const std::atomic<bool>& ended) {
    exchange(c);
    c.barrier();
    if (c.rank() == 2) return hang(ended);
    exchange(c);
  });
  EXPECT_EQ(outcome.exit_code, 75);
  EXPECT_THAT(outcome.explanation,
              AllOf(HasSubstr("in all_gather (number 3 of world, 8 bytes): rank 2 has not entered it; its last call, "
                              "barrier (number 2 of world, 0 bytes), ended"),
                    Not(HasSubstr("rank 0 has")), Not(HasSubstr("rank 1 has")), Not(HasSubstr("rank 3 has"))));
  EXPECT_THAT(outcome.calls, HasSubstr("under way"));
  EXPECT_LT(outcome.seconds, 2.5);
}

TEST(Watchdog, names_a_rank_that_skips_a_collective) {
  // A broadcast from the rank that skips ends there; it hangs in the next one.
  const Outcome outcome = watched(3, 1, [](const Communicator& c, const std::atomic<bool>& ended) {
    std::vector<std::byte> word(4);
    c.barrier();
    if (c.rank() == 1) return hang(ended);
    c.broadcast(word, 1).wait();
  });
  EXPECT_EQ(outcome.exit_code, 75);
  EXPECT_THAT(outcome.explanation, HasSubstr("broadcast (number 2 of world, 4 bytes): rank 1 has not entered it"));
}

TEST(Watchdog, follows_groups_into_their_splits) {
  const Outcome outcome = watched(4, 1, [](const Communicator& c, const std::atomic<bool>& ended) {
    const Communicator half = c.split(c.rank() % 2, 0);
    half.barrier();
    if (c.rank() == 3) return hang(ended);
    exchange(half);
  });
  // Rank 1 waits for 3; 0 and 2 are done.
  EXPECT_THAT(outcome.explanation, HasSubstr("rank 1 waits since"));
  EXPECT_THAT(outcome.explanation, HasSubstr("all_gather (number 2 of world/1:1, 8 bytes): rank 3 has not entered it"));
}

TEST(Watchdog, names_the_peer_of_a_message) {
  const Outcome outcome = watched(3, 1, [](const Communicator& c, const std::atomic<bool>& ended) {
    std::vector<std::byte> word(4);
    if (c.rank() == 0) c.receive(word, 2, 0).wait();
    if (c.rank() == 2) hang(ended);
  });
  EXPECT_THAT(outcome.explanation, HasSubstr("receive (4 bytes, rank 2): rank 2 did not do its part"));
}

TEST(Watchdog, lets_late_ranks_arrive) {
  std::atomic<int> through = 0;
  const Outcome outcome = watched(3, 2, [&](const Communicator& c, const std::atomic<bool>&) {
    const Communicator late = c.rank() == 1 ? observed(c, std::make_shared<Delay>("all_reduce f64", 0.4)) : c;
    std::vector<double> values(20'000, 1);
    late.all_reduce(std::span(values), Reduction::sum).wait();
    if (values[7] == 3) ++through;
  });
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.explanation, "");
  EXPECT_EQ(through, 3);
}

TEST(Watchdog, ends_a_job_that_one_rank_delays_too_long) {
  const Outcome outcome = watched(3, 0.6, [&](const Communicator& c, const std::atomic<bool>&) {
    const Communicator late = c.rank() == 1 ? observed(c, std::make_shared<Delay>("barrier", 1.5)) : c;
    exchange(late);
    late.barrier();
  });
  EXPECT_EQ(outcome.exit_code, 75);
  EXPECT_THAT(outcome.explanation, HasSubstr("barrier (number 2 of world, 0 bytes): rank 1 has not entered it"));
}

/// What explain() says of a rank in the collective `theirs` at the same place, heard of `age` seconds ago.
std::string explanation(const std::string& theirs, std::uint64_t sequence, double age) {
  Record mine{"all_gather", "world", 7, 8, 0, 11, 3.0, std::nullopt, {0, 1}};
  Record other{theirs, "world", sequence, 4, 0, 12, 2.0, std::nullopt, {0, 1}};
  Flight flight{{other}, {{"world", sequence}}};
  return explain(0, mine, {std::nullopt, RankStatus{parse_flight(flight.text()), age}}, 1.0);
}

TEST(Explanation, tells_the_dead_from_the_late_and_the_mistaken) {
  EXPECT_THAT(explanation("broadcast", 7, 0.1),
              HasSubstr("rank 1 is in broadcast (number 7 of world, 4 bytes) instead"));
  EXPECT_THAT(explanation("barrier", 6, 0.1), HasSubstr("rank 1 has not entered it; it is in barrier"));
  EXPECT_THAT(explanation("barrier", 6, 9.0), HasSubstr("rank 1 is silent since 9.0 s: dead or cut off"));
}

TEST(FlightRecorder, keeps_what_is_under_way_and_the_last_of_the_rest) {
  FlightRecorder recorder(4);
  const auto group = std::make_shared<Group>(Group{"world", {0, 1}});
  const std::uint64_t open = recorder.begin({{"broadcast", 5, 1}, 1, group});
  for (std::uint64_t n = 2; n <= 10; ++n) recorder.end(recorder.begin({{"barrier"}, n, group}));
  const Flight flight = parse_flight(recorder.flight().text());
  ASSERT_EQ(flight.records.size(), 4U);
  EXPECT_EQ(flight.records[0].operation, "broadcast");
  EXPECT_FALSE(flight.records[0].ended);
  EXPECT_EQ(flight.records[3].sequence, 10U);
  EXPECT_TRUE(flight.records[3].ended);
  EXPECT_EQ(flight.entered.at("world"), 10U);
  EXPECT_EQ(recorder.oldest_under_way()->bytes, 5U);
  recorder.end(open);
  EXPECT_FALSE(recorder.oldest_under_way());
}

TEST(StepTimes, find_the_straggler) {
  run_on_threads(4, [](const Communicator& c) {
    const StepTimes times = gather_step_times(c, c.rank() == 2 ? 0.9 : 0.2 + 0.01 * c.rank());
    EXPECT_EQ(times.slowest, 2);
    EXPECT_DOUBLE_EQ(times.median, (0.21 + 0.23) / 2);
    EXPECT_EQ(times.stragglers(2), std::vector{2});
    EXPECT_EQ(times.text(), "step 0.220 s (median); slowest rank 2: 0.900 s, 4.09 times the median");
  });
}

TEST(CollectiveTimeout, is_read_from_the_environment) {
  unsetenv("ZONDA_COLLECTIVE_TIMEOUT");
  EXPECT_EQ(collective_timeout(), 1800);
  setenv("ZONDA_COLLECTIVE_TIMEOUT", "2.5", 1);
  EXPECT_EQ(collective_timeout(), 2.5);
  for (const char* wrong : {"soon", "-1", "3s", "nan"}) {
    setenv("ZONDA_COLLECTIVE_TIMEOUT", wrong, 1);
    EXPECT_THROW(collective_timeout(), Error) << wrong;
  }
  unsetenv("ZONDA_COLLECTIVE_TIMEOUT");
}

}  // namespace
}  // namespace zonda::parallel
