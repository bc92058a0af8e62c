#pragma once
// A station: the agent, the schedule of forecasts, the time it goes by and what it shows, in one loop.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "inference/edge/clock/trusted_time.hpp"
#include "inference/edge/station/forecast_schedule.hpp"
#include "inference/edge/station/update_agent.hpp"

namespace zonda::edge {

enum class StationCondition { fresh, stale, degraded };
std::string_view to_string(StationCondition condition);

/// What a station has to show at one moment.
struct StationView {
  std::shared_ptr<const RegionalForecast> forecast;  ///< the last one; null before the first
  StationCondition condition = StationCondition::degraded;
  std::vector<std::string> reasons{};  ///< for people, why it is not fresh
  UpdateSummary update{};
  std::optional<OfferedFeed> feed{};
  std::filesystem::path feed_path{};  ///< of its file, where there is one
  Time time{};                        ///< now
  Time hub_contact{};                 ///< last answer that could be trusted; 0: none since the start
  bool calendar_behind = false;
};

struct StationSettings {
  std::string id;  ///< unique in the fleet
  std::filesystem::path directory;
  Duration poll_interval = std::chrono::minutes(10);
  Duration stale_after = std::chrono::hours(12);  ///< age of the forecast's analysis
  Duration silent_after = std::chrono::hours(6);  ///< without the hub: degraded
  DownloadPolicy download = {};
};

class Station {
 public:
  struct Parts {
    Clock& clock;
    Transport& transport;
    Hub& hub;
    OpenModel open;
    PrepareModel prepare = {};  ///< as the agent's
    /// The inventory's text, signed, from what the station knows of itself.
    std::function<std::string(const StationView&)> inventory = {};
    /// Called whenever there is something new to show.
    std::function<void(const StationView&)> publish = {};
    std::function<void()> heartbeat = {};
    std::function<bool()> cancelled = {};
  };
  Station(StationSettings settings, Parts parts);

  /// Takes up what is on the disk: the model that served, the last forecast.
  void start();
  /// Does what is due now: asks the hub, updates, takes the feed, runs the forecast, reports. Throws Error(failure)
  /// only where the disk fails.
  void tick();
  /// How long until something is due.
  Steady until_due() const;
  /// After start(): ticks until `cancelled`.
  void run();
  StationView view() const;
  /// The time it goes by; from any thread.
  Time now() const { return time_.now(); }
  const UpdateAgent& agent() const { return agent_; }

 private:
  void poll();
  void take_feed();
  void make_forecast();
  void report();
  void publish();

  StationSettings settings_;
  Parts parts_;
  TrustedTime time_;
  UpdateAgent agent_;
  ForecastSchedule schedule_;
  Backoff backoff_;
  Steady next_poll_{0}, next_remember_{0}, next_publish_{0};
  Time hub_contact_{};
  std::string forecast_problem_, feed_problem_;
};

}  // namespace zonda::edge
