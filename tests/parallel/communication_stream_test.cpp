#include "parallel/communication_stream.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "core/error.hpp"

namespace zonda::parallel {
namespace {

TEST(CommunicationStream, RunsWhatItIsGivenInThatOrderBesideTheOneThatGives) {
  std::vector<int> order;
  std::atomic<bool> open = false;
  const std::thread::id here = std::this_thread::get_id();
  std::thread::id there = here;
  CommunicationStream stream;
  Event first = stream.run([&] {
    while (!open) std::this_thread::yield();
    there = std::this_thread::get_id();
    order.push_back(1);
  });
  Event second = stream.run([&] { order.push_back(2); });
  EXPECT_FALSE(first.test());
  EXPECT_FALSE(second.test());
  open = true;
  second.wait();
  first.wait();
  EXPECT_NE(there, here);
  EXPECT_EQ(order, (std::vector{1, 2}));
}

TEST(CommunicationStream, AnErrorIsThatOfItsWorkAndOfWhatCameLater) {
  CommunicationStream stream;
  bool ran = false;
  Event good = stream.run([] {});
  Event bad = stream.run([] { fail(ErrorKind::temporary, "rank 3 is gone"); });
  Event later = stream.run([&] { ran = true; });
  EXPECT_THROW(later.wait(), Error);
  EXPECT_THROW(bad.wait(), Error);
  good.wait();
  EXPECT_FALSE(ran);
}

TEST(CommunicationStream, EndsWithWhatItWasGiven) {
  std::atomic<int> ran = 0;
  {
    CommunicationStream stream;
    for (int i = 0; i < 5; ++i) stream.run([&] { ++ran; });
  }
  EXPECT_EQ(ran, 5);
}

TEST(CommunicationStream, SumsGoOnWhileTheirRankUsesTheGroupsThatItSplitFrom) {
  run_on_threads(4, [](const Communicator& world) {
    const Communicator beside = world.split(0, world.rank());
    CommunicationStream stream;
    std::vector<double> sums(20, 1.0 + world.rank());
    std::vector<Event> events;
    for (double& sum : sums)
      events.push_back(stream.run([&] { beside.all_reduce(std::span(&sum, 1), Reduction::sum).wait(); }));
    for (int i = 0; i < 20; ++i) {
      double most = world.rank();
      world.all_reduce(std::span(&most, 1), Reduction::max).wait();
      EXPECT_EQ(most, 3);
    }
    for (Event& event : events) event.wait();
    for (const double sum : sums) EXPECT_EQ(sum, 10);
  });
}

}  // namespace
}  // namespace zonda::parallel
