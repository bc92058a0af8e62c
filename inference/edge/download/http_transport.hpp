#pragma once
#include <memory>

#include "inference/edge/download/transport.hpp"

namespace zonda::edge {

struct HttpLimits {
  double connect_seconds = 15;
  double minimum_bytes_per_second = 64;  ///< slower than this for `slow_seconds`: given up (slow retrieval)
  double slow_seconds = 30;
  std::uint64_t maximum_bytes_per_second = 0;  ///< bandwidth cap; 0: none
  int redirections = 3;                        ///< followed at most, never from https to http
  std::string certificate_authorities = {};    ///< PEM file; empty: the system's
  std::string user_agent = "zonda-station";
};

/// HTTP and HTTPS by libcurl; connections are kept open between exchanges. One thread at a time.
class HttpTransport final : public Transport {
 public:
  explicit HttpTransport(HttpLimits limits = {});
  ~HttpTransport() override;
  Reply get(const Request& request, const BodySink& sink) override;
  Reply post(const std::string& url, std::string_view content_type, std::string_view body) override;
  /// Changes the bandwidth cap of the exchanges to come; 0: none.
  void set_maximum_rate(std::uint64_t bytes_per_second);
  /// Looked at about once a second during an exchange, which ends with Error(temporary) once it is true.
  void set_cancelled(std::function<bool()> cancelled);

 private:
  struct Session;
  std::unique_ptr<Session> session_;
};

}  // namespace zonda::edge
