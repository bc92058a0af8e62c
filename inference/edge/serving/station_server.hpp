#pragma once
// The station's HTTP server. Requests are answered from memory, each from the state that is in place when it arrives.
#include <functional>
#include <memory>
#include <vector>

#include "inference/edge/correction/sensor_report.hpp"
#include "inference/edge/on_demand/on_demand_runs.hpp"
#include "inference/edge/serving/serving_config.hpp"
#include "inference/edge/serving/station_state.hpp"

namespace zonda::edge {

class StationServer {
 public:
  using Clock = std::function<Time()>;
  /// Called from any of the server's threads, one at a time. Without it POST /v1/observations answers 404.
  using Observe = std::function<ObservationReceipt(const std::vector<SensorReport>&)>;

  /// `clock` tells UTC; default: the system's. `runs`, which must outlive the server: without them nothing is run on
  /// demand.
  explicit StationServer(ServingConfig config, Clock clock = {}, Observe observe = {}, OnDemandRuns* runs = nullptr);
  ~StationServer();  ///< stops
  StationServer(const StationServer&) = delete;
  StationServer& operator=(const StationServer&) = delete;

  /// From now on requests see `state`; those under way end with the one they began with.
  void publish(std::shared_ptr<const StationState> state);
  /// Binds and serves in the background; returns the port. Throws Error(failure) where the port is taken.
  int start();
  /// Ends requests under way, then returns.
  void stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace zonda::edge
