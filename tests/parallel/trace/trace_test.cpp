#include "parallel/trace/trace.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

namespace zonda::parallel {
namespace {

const std::string communication(communication_stream);

TEST(ExposedCommunication, is_what_no_computation_hides) {
  EXPECT_EQ(exposed_communication({}), 0);
  EXPECT_DOUBLE_EQ(exposed_communication({{"gather", communication, 1, 3, 0}}), 2);
  // Overlaps on either side, a gap of 1, computations that overlap each other, in any order.
  const std::vector<Span> spans{
      {"c", "compute", 4, 6, 0},          {"gather", communication, 1, 5, 8}, {"a", "compute", 0, 2, 0},
      {"b", "other stream", 1.5, 3, 0},   {"sum", communication, 7, 9, 8},    {"late", "compute", 8.5, 20, 0},
      {"sum", communication, 8, 8.75, 8},
  };
  // [1, 5] is hidden but for [3, 4]; of [7, 9] only [8.5, 9] is hidden.
  EXPECT_DOUBLE_EQ(exposed_communication(spans), 1 + 1.5);
  EXPECT_DOUBLE_EQ(communication_time(spans), 4 + 2);
}

TEST(ExposedCommunication, one_computation_may_hide_several_transfers) {
  EXPECT_DOUBLE_EQ(exposed_communication({{"w", "compute", 0, 10, 0},
                                          {"x", communication, 1, 2, 0},
                                          {"y", communication, 3, 4, 0},
                                          {"z", communication, 9, 11, 0}}),
                   1);
}

void work(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

TEST(Trace, sees_what_overlap_saves) {
  run_on_threads(2, [](const Communicator& plain) {
    for (const bool overlapped : {false, true}) {
      const auto trace = std::make_shared<Trace>();
      const Communicator c = traced(plain, trace);
      plain.barrier();
      std::vector<double> word(4);
      const auto bytes = std::as_writable_bytes(std::span(word));
      // Rank 1 sends late; rank 0 either waits for it, or works in the meantime.
      if (c.rank() == 0) {
        Event arrival = c.receive(bytes, 1, 0);
        if (!overlapped) arrival.wait();
        {
          const Trace::Scope scope(*trace, "block 3");
          work(0.3);
        }
        arrival.wait();
      } else {
        work(0.2);
        c.send(bytes, 0, 0).wait();
      }
      const std::vector<Span> spans = trace->spans();
      if (c.rank() == 1) continue;
      ASSERT_EQ(spans.size(), 2U);

      if (overlapped) {
        EXPECT_LT(exposed_communication(spans), communication_time(spans));
        EXPECT_GE(communication_time(spans) - exposed_communication(spans), 0.3);
      } else {
        EXPECT_GT(exposed_communication(spans), 0);
        EXPECT_DOUBLE_EQ(exposed_communication(spans), communication_time(spans));
      }
    }
  });
}

TEST(Trace, writes_what_chrome_reads) {
  const auto path = std::filesystem::path(testing::TempDir()) / "zonda-trace.json";
  run_on_threads(2, [&](const Communicator& plain) {
    const auto trace = std::make_shared<Trace>();
    const Communicator c = traced(plain, trace), half = c.split(0, 0);
    { const Trace::Scope scope(*trace, "attention", "compute", 64); }
    std::vector<double> values(100'000, 1);
    half.all_reduce(std::span(values), Reduction::sum).wait();
    if (c.is_root()) trace->write(path, 0);
  });
  const auto read = nlohmann::json::parse(std::ifstream(path));
  std::set<std::string> names;
  for (const auto& event : read.at("traceEvents")) {
    names.insert(event.at("name"));
    EXPECT_EQ(event.at("pid"), 0);
    if (event.at("ph") != "X") continue;
    EXPECT_GE(event.at("dur").get<double>(), 0);
    if (event.at("name") == "all_reduce f64") {
      EXPECT_EQ(event.at("args").at("bytes"), 800'000);
    }
    if (event.at("name") == "attention") {
      EXPECT_EQ(event.at("args").at("bytes"), 64);
    }
  }
  EXPECT_EQ(names, (std::set<std::string>{"process_name", "thread_name", "split", "attention", "all_reduce f64"}));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace zonda::parallel
