#include "inference/edge/download/http_transport.hpp"

#include <gmock/gmock.h>

#include "core/error.hpp"
#include "tests/inference/edge/download/faulty_server.hpp"

namespace zonda::edge {
namespace {

using testing::HasSubstr;

template <class Action>
Error refused(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::usage, "nothing was refused");
}

struct HttpTransportTest : testing::Test {
  static constexpr std::uint64_t bytes = 300000;
  FaultyServer server{random_bytes(bytes, 1)};
  HttpTransport transport{HttpLimits{.minimum_bytes_per_second = 1000, .slow_seconds = 1}};
  Document get(const std::string& path, std::uint64_t most = bytes) {
    return get_document(transport, server.url(path), most);
  }
};

TEST_F(HttpTransportTest, FetchesAWholeDocument) {
  const Document document = get("/honest");
  EXPECT_EQ(document.reply.status, 200);
  EXPECT_EQ(document.reply.etag, "\"v1\"");
  EXPECT_EQ(document.reply.body_bytes, bytes);
  EXPECT_TRUE(document.body == server.file());
}

TEST_F(HttpTransportTest, FetchesFromAByteOn) {
  std::string body;
  const Reply reply = transport.get({.url = server.url("/honest"), .offset = 299000, .maximum_bytes = 1000},
                                    [&](const Reply& so_far, std::span<const std::byte> piece) {
                                      EXPECT_EQ(so_far.offset, 299000U);
                                      EXPECT_EQ(so_far.total_bytes, bytes);
                                      body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
                                    });
  EXPECT_EQ(reply.status, 206);
  EXPECT_TRUE(body == server.file().substr(299000));
}

TEST_F(HttpTransportTest, AnUnchangedDocumentIsNotSentAgain) {
  const Document first = get("/conditional");
  const Document again = get_document(transport, server.url("/conditional"), bytes, first.reply.etag);
  EXPECT_EQ(again.reply.status, 304);
  EXPECT_EQ(again.body, "");
}

TEST_F(HttpTransportTest, MissingIsAnAnswerAndNotAnError) {
  EXPECT_EQ(get("/absent").reply.status, 404);
}

TEST_F(HttpTransportTest, EndlessDataIsCutOff) {
  const Error error = refused([&] { get("/endless"); });
  EXPECT_EQ(error.kind(), ErrorKind::data);
  EXPECT_THAT(error.what(), HasSubstr("more than the 300000 bytes expected"));
  EXPECT_LT(server.endless_bytes(), 20 * bytes);
}

TEST_F(HttpTransportTest, AnAnnouncedLengthBeyondTheLimitIsRefusedBeforeTheBody) {
  const Error error = refused([&] { get("/longer"); });
  EXPECT_EQ(error.kind(), ErrorKind::data);
  EXPECT_THAT(error.what(), HasSubstr("300001 bytes are announced, at most 300000"));
}

TEST_F(HttpTransportTest, SlowRetrievalIsGivenUp) {
  const Error error = refused([&] { get("/slow"); });
  EXPECT_EQ(error.kind(), ErrorKind::temporary);
  EXPECT_THAT(error.what(), HasSubstr("slower than 1000 bytes/s for 1 s"));
}

TEST_F(HttpTransportTest, ACutConnectionIsTemporary) {
  EXPECT_EQ(refused([&] { get("/cut"); }).kind(), ErrorKind::temporary);
}

TEST_F(HttpTransportTest, ServerTroubleIsTemporary) {
  const Error error = refused([&] { get("/sometimes-500"); });
  EXPECT_EQ(error.kind(), ErrorKind::temporary);
  EXPECT_THAT(error.what(), HasSubstr("answers 500"));
}

TEST_F(HttpTransportTest, NobodyThereIsTemporary) {
  EXPECT_EQ(refused([&] { get_document(transport, "http://127.0.0.1:9/x", 10); }).kind(), ErrorKind::temporary);
}

TEST_F(HttpTransportTest, ARangeThatWasNotAskedForIsRefused) {
  const Error error = refused([&] {
    transport.get({.url = server.url("/lying-range"), .offset = 1000, .maximum_bytes = bytes},
                  [](const Reply&, std::span<const std::byte>) { FAIL() << "bytes of a lie"; });
  });
  EXPECT_EQ(error.kind(), ErrorKind::temporary);
  EXPECT_THAT(error.what(), HasSubstr("from 1000 on, the server sent those from 7 on"));
}

TEST_F(HttpTransportTest, FollowsARedirectionButNoCircleAndNoOtherProtocol) {
  EXPECT_TRUE(get("/moved").body == server.file());
  EXPECT_EQ(refused([&] { get("/circle"); }).kind(), ErrorKind::data);
  EXPECT_EQ(refused([&] { get("/to-file"); }).kind(), ErrorKind::data);
  const Error error = refused([&] { get_document(transport, "file:///etc/passwd", 100000); });
  EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
}

TEST_F(HttpTransportTest, PostsABody) {
  EXPECT_EQ(transport.post(server.url("/inventory"), "application/json", "{\"a\": 1}").status, 202);
  EXPECT_EQ(server.posted(), "{\"a\": 1}");
}

TEST_F(HttpTransportTest, StopsWhenItIsCancelled) {
  transport.set_cancelled([] { return true; });
  EXPECT_THAT(refused([&] { get("/slow"); }).what(), HasSubstr("transfer stopped"));
}

TEST_F(HttpTransportTest, TheBandwidthCapHolds) {
  transport.set_maximum_rate(400000);
  const auto begin = std::chrono::steady_clock::now();
  get("/honest");
  EXPECT_GT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 0.4);
}

}  // namespace
}  // namespace zonda::edge
