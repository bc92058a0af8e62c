#pragma once
// The world of a job under the watch of a watchdog on every rank.
#include <memory>
#include <optional>

#include "parallel/communicator.hpp"
#include "parallel/faults/flight_recorder.hpp"
#include "parallel/faults/tcp_store.hpp"

namespace zonda::parallel {

class Watchdog;

/// Seconds from ZONDA_COLLECTIVE_TIMEOUT: 1800 unless set, 0 for no watch. Throws Error(usage) where it is no number.
double collective_timeout();

/// Watches the calls of a world of processes. A call that does not end within the deadline ends all ranks with exit
/// code 75 and a message that names the rank and the operation that held it up.
class WatchedWorld {
 public:
  /// Collective. Rank 0 keeps the status board. Without a deadline, or alone, `world` is left as it is.
  WatchedWorld(const Communicator& world, double deadline);
  ~WatchedWorld();
  WatchedWorld(const WatchedWorld&) = delete;
  WatchedWorld& operator=(const WatchedWorld&) = delete;
  const Communicator& world() const { return world_; }

 private:
  Communicator world_;
  std::unique_ptr<TcpStoreServer> server_;
  std::unique_ptr<Watchdog> watchdog_;
};

}  // namespace zonda::parallel
