#pragma once
// The hub over HTTP, for small sites: the static files as any web server gives them, and the door for station reports,
// which watches over waves.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/time.hpp"

namespace zonda::edge {

struct HubServerOptions {
  std::string address = "127.0.0.1";
  int port = 8460;                   ///< 0: any free one
  bool advance = false;              ///< waves go on by themselves when their gate opens
  std::string passphrase;            ///< of the keys with which rules are signed
  std::function<Time()> clock = {};  ///< default: the system's, UTC
};

/// `GET`, `HEAD` of what is in `public/`: one Range, ETag (of time and length), If-None-Match, If-Range; no
/// compression. `POST /v1/reports`: a StationReport; kept in `stations/reports.jsonl`. `GET /v1/waves`: the health of
/// every wave. When too many stations of a wave fail, its rule is stopped and signed: all go back.
class HubServer {
 public:
  /// Binds. Throws Error(data): no hub there; Error(usage): the port is taken.
  HubServer(const std::filesystem::path& hub, const HubServerOptions& options);
  ~HubServer();
  int port() const;
  /// Serves until stop().
  void run();
  /// From any thread.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zonda::edge
