#include "inference/edge/station/service_notice.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace zonda::edge {

ServiceNotice::ServiceNotice() {
  if (const char* address = std::getenv("NOTIFY_SOCKET")) address_ = address;
  if (address_.size() < 2 || (address_[0] != '/' && address_[0] != '@')) address_.clear();
  if (address_.size() >= sizeof(sockaddr_un::sun_path)) address_.clear();
  if (address_.empty()) return;
  socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const char* pid = std::getenv("WATCHDOG_PID");
  if (pid && std::atol(pid) != ::getpid()) return;
  if (const char* microseconds = std::getenv("WATCHDOG_USEC")) {
    const long long value = std::atoll(microseconds);
    if (value > 0) patience_ = std::chrono::microseconds(value);
  }
}

ServiceNotice::~ServiceNotice() {
  if (socket_ >= 0) ::close(socket_);
}

void ServiceNotice::ready() {
  send("READY=1");
}

void ServiceNotice::stopping() {
  send("STOPPING=1");
}

void ServiceNotice::status(std::string_view line) {
  send("STATUS=" + std::string(line.substr(0, line.find('\n'))));
}

void ServiceNotice::alive() {
  if (!patience_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_alive_ < *patience_ / 4) return;
  last_alive_ = now;
  send("WATCHDOG=1");
}

void ServiceNotice::send(const std::string& message) const {
  if (socket_ < 0) return;
  sockaddr_un to = {};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  if (to.sun_path[0] == '@') to.sun_path[0] = 0;  // an abstract socket
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  // Nobody there is nobody told: the service goes on.
  static_cast<void>(
      ::sendto(socket_, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), length));
}

}  // namespace zonda::edge
