#include "parallel/faults/tcp_store.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include "core/error.hpp"

namespace zonda::parallel {
namespace {

using testing::HasSubstr;

const StoreKey key{"job 17", "first start"};

std::optional<ErrorKind> kind_of_failure(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.kind();
  }
  return std::nullopt;
}

TEST(TcpStore, keeps_values_and_counts) {
  const TcpStoreServer server(key);
  TcpStore a(server.address(), key, 5), b(server.address(), key, 5);
  EXPECT_FALSE(b.find("id"));
  std::string id("\0 any bytes \n", 13);
  a.set("id", id);
  EXPECT_EQ(b.get("id"), id);
  EXPECT_LT(b.find("id")->age, 5);
  a.set("id", "");
  EXPECT_EQ(b.find("id")->value, "");
  EXPECT_EQ(a.add("ranks", 1), 1);
  EXPECT_EQ(b.add("ranks", 2), 3);
  const std::string large(3'000'000, 'x');
  a.set("large", large);
  EXPECT_EQ(b.get("large"), large);
}

TEST(TcpStore, serves_many_clients_at_once) {
  const TcpStoreServer server(key);
  std::vector<std::thread> threads;
  std::atomic<int> met = 0;
  for (int rank = 0; rank < 16; ++rank)
    threads.emplace_back([&, rank] {
      TcpStore store(server.address(), key, 10);
      store.set(std::to_string(rank), std::to_string(rank * rank));
      for (int other = 0; other < 16; ++other)
        if (store.get(std::to_string(other)) == std::to_string(other * other)) ++met;
      store.add("arrived", 1);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(met, 256);
  EXPECT_EQ(TcpStore(server.address(), key, 5).add("arrived", 0), 16);
}

TEST(TcpStore, waits_for_a_late_value) {
  const TcpStoreServer server(key);
  std::thread late([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    TcpStore(server.address(), key, 5).set("id", "here");
  });
  EXPECT_EQ(TcpStore(server.address(), key, 5).get("id"), "here");
  late.join();
  EXPECT_EQ(kind_of_failure([&] { TcpStore(server.address(), key, 0.2).get("never"); }), ErrorKind::temporary);
}

TEST(TcpStore, waits_for_a_late_server) {
  std::uint16_t port = 0;
  { port = TcpStoreServer(key).address().port; }  // a free one
  std::optional<TcpStoreServer> server;
  std::thread late([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    server.emplace(key, port);
  });
  TcpStore store({"127.0.0.1", port}, key, 5);
  EXPECT_EQ(store.add("calls", 1), 1);
  late.join();
}

TEST(TcpStore, ends_by_its_deadline_where_nobody_listens) {
  std::uint16_t port = 0;
  { port = TcpStoreServer(key).address().port; }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(kind_of_failure([&] { TcpStore({"127.0.0.1", port}, key, 0.3).set("a", "b"); }), ErrorKind::temporary);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
}

TEST(TcpStore, refuses_another_job_and_another_start) {
  const TcpStoreServer server(key);
  for (const StoreKey& other : {StoreKey{"job 18", "first start"}, StoreKey{"job 17", "second start"}, StoreKey{}}) {
    try {
      TcpStore(server.address(), other, 5).set("id", "spoilt");
      ADD_FAILURE() << "it let a stranger in";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::failure);
      EXPECT_THAT(error.what(), HasSubstr("refuses job '" + other.job + "'"));
    }
  }
  EXPECT_FALSE(TcpStore(server.address(), key, 5).find("id"));
}

TEST(TcpStore, knows_a_restarted_server) {
  std::optional<TcpStoreServer> server(std::in_place, key);
  const std::uint16_t port = server->address().port;
  TcpStore store({"127.0.0.1", port}, key, 5);
  store.set("id", "of the first");
  server.reset();
  server.emplace(key, port);
  EXPECT_FALSE(store.find("id"));  // a new connection, to an empty store
  server.reset();
  server.emplace(StoreKey{"job 17", "second start"}, port);
  EXPECT_EQ(kind_of_failure([&] { store.find("id"); }), ErrorKind::failure);
}

TEST(TcpStore, outlives_what_is_no_client) {
  const TcpStoreServer server(key);
  for (const std::string noise : {"GET / HTTP/1.1\r\n\r\n and some more bytes", "", "1SOZ"}) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.address().port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(send(fd, noise.data(), noise.size(), MSG_NOSIGNAL), static_cast<ssize_t>(noise.size()));
    close(fd);
  }
  TcpStore store(server.address(), key, 5);
  store.set("a", "b");
  EXPECT_EQ(store.get("a"), "b");
}

TEST(TcpStore, nonces_differ) {
  EXPECT_EQ(random_nonce().size(), 32U);
  EXPECT_NE(random_nonce(), random_nonce());
}

}  // namespace
}  // namespace zonda::parallel
