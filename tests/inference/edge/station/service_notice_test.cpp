#include "inference/edge/station/service_notice.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace zonda::edge {
namespace {

/// What systemd is to a service: a datagram socket.
struct ServiceNoticeTest : testing::Test {
  std::string path = testing::TempDir() + "/notify-" + std::to_string(::getpid());
  int socket = -1;
  void SetUp() override {
    std::filesystem::remove(path);
    socket = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    ::setenv("WATCHDOG_USEC", "200000", 1);
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  }
  void TearDown() override {
    ::close(socket);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  std::string next() {
    char text[512];
    const ssize_t n = ::recv(socket, text, sizeof(text), MSG_DONTWAIT);
    return n < 0 ? "" : std::string(text, static_cast<std::size_t>(n));
  }
};

TEST_F(ServiceNoticeTest, TellsWhatSystemdAsks) {
  ServiceNotice notice;
  notice.ready();
  EXPECT_EQ(next(), "READY=1");
  notice.status("serving europe 2\nREADY=0");
  EXPECT_EQ(next(), "STATUS=serving europe 2") << "one line only";
  notice.alive();
  EXPECT_EQ(next(), "WATCHDOG=1");
  notice.alive();
  EXPECT_EQ(next(), "") << "not more often than is asked for";
  notice.stopping();
  EXPECT_EQ(next(), "STOPPING=1");
  EXPECT_EQ(notice.patience(), std::chrono::milliseconds(200));
}

TEST_F(ServiceNoticeTest, TheWatchdogOfAnotherProcessIsNotOurs) {
  ::setenv("WATCHDOG_PID", "1", 1);
  ServiceNotice notice;
  EXPECT_FALSE(notice.patience());
}

TEST(ServiceNotice, WithoutSystemdNothingHappens) {
  ServiceNotice notice;
  EXPECT_NO_THROW(notice.ready());
  EXPECT_NO_THROW(notice.alive());
}

}  // namespace
}  // namespace zonda::edge
