#include "inference/edge/download/downloader.hpp"

#include <gmock/gmock.h>

#include <array>
#include <fstream>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "inference/edge/clock/simulated_clock.hpp"
#include "inference/edge/download/http_transport.hpp"
#include "tests/inference/edge/download/faulty_server.hpp"

namespace zonda::edge {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct DownloaderTest : testing::Test {
  fs::path folder =
      fs::path(testing::TempDir()) / "downloader" / testing::UnitTest::GetInstance()->current_test_info()->name();
  FaultyServer server{random_bytes(300000, 2)};
  SimulatedClock clock{parse_time("2026-03-01T12:00")};
  HttpTransport transport{HttpLimits{.minimum_bytes_per_second = 1000, .slow_seconds = 1}};
  DownloadPolicy policy{.chunk_bytes = 10000, .attempts = 4};
  std::string hash = sha256(server.file());
  std::optional<ContentStore> store;
  void SetUp() override {
    fs::remove_all(folder);
    store.emplace(folder);
  }
  Content content(const std::string& path) { return {server.url(path), hash, server.file().size()}; }
  void fetch(const std::string& path, const Downloader::Progress& progress = {}) {
    Downloader(transport, *store, clock, policy, "one").fetch(content(path), progress);
  }
  Error refused(const std::string& path) {
    try {
      fetch(path);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorKind::usage, "nothing was refused");
  }
  bool complete() { return store->has(hash) && read_file(store->path(hash)) == server.file(); }
};

TEST_F(DownloaderTest, FetchesAndReportsProgress) {
  std::uint64_t last = 0;
  fetch("/honest", [&](std::uint64_t here, std::uint64_t of) {
    EXPECT_GT(here, last);
    EXPECT_EQ(of, server.file().size());
    last = here;
  });
  EXPECT_TRUE(complete());
  EXPECT_EQ(last, server.file().size());
  EXPECT_EQ(store->partial_bytes(hash), 0U);
}

TEST_F(DownloaderTest, ACutTransferGoesOnAndRepeatsLessThanAChunk) {
  server.cut_after(70000);
  Downloader downloader(transport, *store, clock, policy, "one");
  downloader.fetch(content("/cut"));
  EXPECT_TRUE(complete());
  const auto offsets = server.offsets();
  ASSERT_GE(offsets.size(), 5U);
  EXPECT_LT(downloader.bytes_received() - server.file().size(), offsets.size() * policy.chunk_bytes);
  for (std::size_t i = 1; i < offsets.size(); ++i) EXPECT_GT(offsets[i], offsets[i - 1]);
}

TEST_F(DownloaderTest, AnotherProcessGoesOnWhereOneWasKilled) {
  server.cut_after(95000);
  policy.attempts = 1;
  EXPECT_EQ(refused("/cut").kind(), ErrorKind::temporary);
  const std::uint64_t here = store->partial_bytes(hash);
  EXPECT_GT(here, 0U);
  server.cut_after(1000000);
  fetch("/cut");
  EXPECT_TRUE(complete());
  EXPECT_EQ(server.offsets().back(), here);
}

TEST_F(DownloaderTest, AServerWithoutRangesSendsEverythingAgain) {
  {
    PartialFile file(*store, hash, 1000);
    file.append(std::as_bytes(std::span(server.file().data(), 5000)));
  }
  fetch("/no-range");
  EXPECT_TRUE(complete());
  EXPECT_EQ(server.offsets().front(), 5000U);
}

TEST_F(DownloaderTest, ADamagedBeginningIsFetchedAgain) {
  {
    PartialFile file(*store, hash, 1000);
    const std::array<std::byte, 5000> zeros{};
    file.append(zeros);
  }
  fetch("/honest");
  EXPECT_TRUE(complete());
}

TEST_F(DownloaderTest, LyingAboutRangesIsRefusedForNow) {
  {
    PartialFile file(*store, hash, 1000);
    file.append(std::as_bytes(std::span(server.file().data(), 5000)));
  }
  EXPECT_EQ(refused("/lying-range").kind(), ErrorKind::temporary);
  EXPECT_EQ(store->partial_bytes(hash), 5000U) << "what was right stays";
}

TEST_F(DownloaderTest, OtherBytesThanWereSignedAreRefused) {
  const Error error = refused("/other");
  EXPECT_EQ(error.kind(), ErrorKind::data);
  EXPECT_THAT(error.what(), HasSubstr("SHA-256"));
  EXPECT_FALSE(store->has(hash));
}

TEST_F(DownloaderTest, OtherLengthsThanWereSignedAreRefused) {
  EXPECT_EQ(refused("/shorter").kind(), ErrorKind::data);
  EXPECT_EQ(refused("/longer").kind(), ErrorKind::data);
  EXPECT_EQ(refused("/endless").kind(), ErrorKind::data);
  EXPECT_LT(store->partial_bytes(hash), server.file().size() + 1);
}

TEST_F(DownloaderTest, ServerTroubleIsTriedAgainAfterWaits) {
  const Steady before = clock.steady();
  fetch("/sometimes-500");
  EXPECT_TRUE(complete());
  EXPECT_GT(clock.steady(), before);
}

TEST_F(DownloaderTest, GivesUpAfterSoManyFailures) {
  const Error error = refused("/absent");
  EXPECT_EQ(error.kind(), ErrorKind::temporary);
  EXPECT_THAT(error.what(), HasSubstr("404"));
}

TEST_F(DownloaderTest, LargeTransfersWaitForTheirHours) {
  policy.window = TransferWindow("22:00-05:30", 0);
  const Error error = refused("/honest");
  EXPECT_EQ(error.kind(), ErrorKind::temporary);
  EXPECT_THAT(error.what(), HasSubstr("begin in 10h"));
  clock.pass(std::chrono::hours(11));
  fetch("/honest");
  EXPECT_TRUE(complete());
}

TEST_F(DownloaderTest, RefusesWhatDoesNotFitTheDisk) {
  policy.reserve_bytes = std::uint64_t{1} << 60;
  const Downloader downloader(transport, *store, clock, policy, "one");
  const std::array contents{content("/honest")};
  try {
    downloader.require_room(contents);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::failure);
    EXPECT_THAT(error.what(), HasSubstr("0.3 MB needed"));
  }
  store->put(hash, server.file());
  EXPECT_NO_THROW(downloader.require_room(contents)) << "nothing to fetch";
}

TEST_F(DownloaderTest, EmptyContents) {
  Downloader(transport, *store, clock, policy, "one").fetch({"http://127.0.0.1:9/", sha256(std::string_view()), 0});
  EXPECT_TRUE(store->has(sha256(std::string_view())));
}

}  // namespace
}  // namespace zonda::edge
