#pragma once
// What the station answers, without the transport.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "inference/edge/on_demand/on_demand_runs.hpp"
#include "inference/edge/serving/station_state.hpp"

namespace zonda::edge {

using Query = std::multimap<std::string, std::string>;

struct Answer {
  int status = 200;
  std::string type = "application/json";
  std::string body{};
  std::vector<std::pair<std::string, std::string>> headers{};
};

/// Has the model run by a deadline.
using AskForRun = std::function<DemandedRun(RequestClass request_class, int member)>;

/// `{"error": {"status": 400, "parameter": "lat", "message": "..."}}`
Answer error_answer(int status, const std::string& parameter, const std::string& message);

class StationApi {
 public:
  /// Without `ask` no runs are made on demand.
  explicit StationApi(std::function<Time()> clock, AskForRun ask = {});
  void publish(std::shared_ptr<const StationState> state) { state_.store(std::move(state)); }
  std::shared_ptr<const StationState> state() const { return state_.load(); }
  Time now() const { return clock_(); }

  /// lat, lon (both or none: the station's place), variables (comma-separated names), format (coveragejson, csv, json),
  /// deadline (instant, interactive, prompt, batch), member (of an ensemble): with them the model runs for this answer,
  /// which names token level and skill, in itself and as `Zonda-...` headers.
  Answer forecast(const Query& query) const;
  /// variable, lead (hours): one field, 16 bits a cell.
  Answer field(const Query& query) const;
  /// The coast of the region: `{"segments": [[lat, lon, lat, lon], ...]}`, degrees.
  Answer coast(const Query& query) const;
  Answer status(const Query& query) const;
  /// 200 once there is a forecast, 503 before.
  Answer health(const Query& query) const;

 private:
  std::function<Time()> clock_;
  AskForRun ask_;
  std::atomic<std::shared_ptr<const StationState>> state_;
};

}  // namespace zonda::edge
