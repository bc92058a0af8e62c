// The checks of every communicator on one rank alone and on threads, and what only threads can show: failing ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <stdexcept>

#include "communicator_checks.hpp"
#include "core/error.hpp"
#include "parallel/mpi_session.hpp"

namespace zonda::parallel {
namespace {

using testing::HasSubstr;

/// 0 ranks: the Self communicator.
class AnyCommunicator : public testing::TestWithParam<std::tuple<int, std::size_t>> {};

TEST_P(AnyCommunicator, does) {
  const auto [ranks, index] = GetParam();
  const CommunicatorCheck& check = communicator_checks()[index];
  if (ranks == 0)
    check.run(Communicator::self());
  else
    run_on_threads(ranks, check.run);
}

INSTANTIATE_TEST_SUITE_P(parallel, AnyCommunicator,
                         testing::Combine(testing::Values(0, 1, 2, 3, 4, 8),
                                          testing::Range(std::size_t{0}, communicator_checks().size())),
                         [](const auto& test) {
                           const int ranks = std::get<0>(test.param);
                           return (ranks == 0 ? std::string("self") : std::to_string(ranks) + "_threads") + "_" +
                                  communicator_checks()[std::get<1>(test.param)].name;
                         });

void wait_for_everybody(const Communicator& c) {
  std::vector<double> values(100'000, 1);
  c.all_reduce(std::span(values), Reduction::sum).wait();
}

TEST(FailingRank, reaches_the_caller_and_ends_the_waiting) {
  std::atomic<int> ended_by_peer = 0;
  try {
    run_on_threads(4, [&](const Communicator& c) {
      if (c.rank() == 2) {
        wait_for_everybody(c);
        fail(ErrorKind::data, "file 7 is broken");
      }
      try {
        wait_for_everybody(c);  // may end by the failure: rank 2 need not wait until the others have their sums
        const Communicator half = c.split(c.rank() % 2, 0);
        wait_for_everybody(half);
        c.barrier();
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::temporary);
        EXPECT_THAT(error.what(), HasSubstr("rank 2 failed: file 7 is broken"));
        ++ended_by_peer;
        throw;
      }
    });
    FAIL() << "the error got lost";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_STREQ(error.what(), "file 7 is broken");
  }
  EXPECT_EQ(ended_by_peer, 3);
}

TEST(FailingRank, may_throw_anything) {
  EXPECT_THROW(run_on_threads(3,
                              [](const Communicator& c) {
                                if (c.rank() == 0) throw std::out_of_range("x");
                                c.barrier();
                              }),
               std::out_of_range);
  EXPECT_THROW(run_on_threads(3,
                              [](const Communicator& c) {
                                if (c.rank() == 1) throw 5;
                                c.barrier();
                              }),
               int);
}

/// The message of the error that `body` ends in on `ranks` threads.
std::string failure(int ranks, const std::function<void(const Communicator&)>& body) {
  try {
    run_on_threads(ranks, body);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(FailingRank, that_ends_early_is_named) {
  EXPECT_THAT(failure(3,
                      [](const Communicator& c) {
                        if (c.rank() != 1) c.barrier();
                      }),
              HasSubstr("for rank 1, which has ended"));
}

TEST(FailingRank, in_another_collective_is_named) {
  const std::string message = failure(2, [](const Communicator& c) {
    c.barrier();
    std::vector<std::byte> mine(4), all(8);
    if (c.rank() == 0)
      c.barrier();
    else
      c.all_gather(mine, all).wait();
  });
  EXPECT_THAT(message, HasSubstr("collective 1"));
  EXPECT_THAT(message, HasSubstr("barrier"));
  EXPECT_THAT(message, HasSubstr("all_gather"));
}

TEST(FailingRank, with_a_message_of_another_length_is_named) {
  EXPECT_THAT(failure(2,
                      [](const Communicator& c) {
                        std::vector<std::byte> data(c.rank() == 0 ? 8 : 9);
                        c.broadcast(data, 0).wait();
                      }),
              HasSubstr("rank 1 expected 9 bytes from rank 0, which sent 8"));
}

TEST(SelfCommunicator, does_not_wait_for_a_message_that_nobody_sends) {
  std::array<std::byte, 4> data{};
  Event event = Communicator::self().receive(data, 0, 3);
  EXPECT_FALSE(event.test());
  EXPECT_THROW(event.wait(), Error);
}

TEST(RunOnThreads, needs_a_rank) {
  EXPECT_THROW(run_on_threads(0, [](const Communicator&) {}), Error);
}

TEST(MpiSession, without_mpirun_is_one_rank) {
  if (std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr) GTEST_SKIP() << "started by mpirun";
  int argc = 0;
  char** argv = nullptr;
  const MpiSession session(argc, argv);
  EXPECT_EQ(session.world().size(), 1);
  for (const CommunicatorCheck& check : communicator_checks()) check.run(session.world());
}

}  // namespace
}  // namespace zonda::parallel
