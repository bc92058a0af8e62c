#pragma once
// What a service tells systemd (sd_notify(3)): a datagram to the socket that the environment names.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace zonda::edge {

class ServiceNotice {
 public:
  /// From NOTIFY_SOCKET and WATCHDOG_USEC; without them every call does nothing.
  ServiceNotice();
  ~ServiceNotice();
  ServiceNotice(const ServiceNotice&) = delete;
  ServiceNotice& operator=(const ServiceNotice&) = delete;
  void ready();
  void stopping();
  void status(std::string_view line);
  /// The service is alive; sent at most as often as half of the watchdog's patience asks for.
  void alive();
  /// After how long without alive() systemd restarts the service.
  std::optional<std::chrono::microseconds> patience() const { return patience_; }

 private:
  void send(const std::string& message) const;
  int socket_ = -1;
  std::string address_;
  std::optional<std::chrono::microseconds> patience_;
  std::chrono::steady_clock::time_point last_alive_{};
};

}  // namespace zonda::edge
