#include "inference/edge/station/station.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/log.hpp"

namespace zonda::edge {
namespace {

DownloadPolicy without_window(DownloadPolicy policy) {
  policy.window = TransferWindow(policy.window.bytes_per_second());  // feeds are small and cannot wait
  return policy;
}

/// `5 h`, `3 d`: for people.
std::string rough(Duration age) {
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(age).count();
  return hours < 72 ? fmt::format("{} h", hours) : fmt::format("{} d", hours / 24);
}

}  // namespace

std::string_view to_string(StationCondition condition) {
  switch (condition) {
    case StationCondition::fresh:
      return "FRESH";
    case StationCondition::stale:
      return "STALE";
    case StationCondition::degraded:
      return "DEGRADED";
  }
  return "";
}

Station::Station(StationSettings settings, Parts parts)
    : settings_(std::move(settings)),
      parts_(std::move(parts)),
      time_(parts_.clock, settings_.directory / "last-known-time.json"),
      agent_(settings_.directory, settings_.id, settings_.download,
             {parts_.hub, parts_.transport, parts_.clock, parts_.open, parts_.heartbeat, parts_.cancelled,
              parts_.prepare}),
      schedule_(settings_.directory, settings_.id, without_window(settings_.download),
                {parts_.transport, parts_.clock, parts_.heartbeat, parts_.cancelled}),
      backoff_({.first_seconds = std::min(30.0, static_cast<double>(settings_.poll_interval.count())),
                .longest_seconds = static_cast<double>(settings_.poll_interval.count())},
               settings_.id + ", polls") {}

void Station::start() {
  agent_.recover();
  if (schedule_.feed()) time_.learn(schedule_.feed()->cycle);
  next_poll_ = parts_.clock.steady();
  next_remember_ = parts_.clock.steady();
  next_publish_ = parts_.clock.steady();
  publish();
}

void Station::tick() {
  const Steady now = parts_.clock.steady();
  if (parts_.heartbeat) parts_.heartbeat();
  if (now >= next_poll_) poll();
  make_forecast();
  if (now >= next_remember_) {
    time_.remember();
    next_remember_ = now + Steady(3600);
  }
  if (now >= next_publish_) publish();
}

Steady Station::until_due() const {
  Steady next = std::min(next_poll_, next_remember_);
  if (parts_.publish) next = std::min(next, next_publish_);
  return std::max(Steady(0), next - parts_.clock.steady());
}

void Station::run() {
  while (!(parts_.cancelled && parts_.cancelled())) {
    tick();
    parts_.clock.wait(std::min(until_due(), Steady(1)), parts_.cancelled);
  }
  time_.remember();
}

void Station::poll() {
  agent_.poll(time_.now());
  if (agent_.summary().hub_reached) hub_contact_ = time_.now();
  if (agent_.summary().hub_reached && agent_.summary().problem.empty()) {
    backoff_.succeeded();
    // Spread over the interval's last fifth, so that a fleet that started together does not ask together.
    const double interval = static_cast<double>(settings_.poll_interval.count());
    Backoff spread({.first_seconds = 0.2 * interval, .longest_seconds = 0.2 * interval},
                   settings_.id + zonda::to_string(time_.now()));
    next_poll_ = parts_.clock.steady() + Steady(0.8 * interval) + spread.next();
  } else {
    next_poll_ = parts_.clock.steady() + std::max(Steady(1), backoff_.next());
  }
  take_feed();
  make_forecast();
  if (agent_.summary().hub_reached) report();
  publish();
}

void Station::take_feed() {
  const auto& offered = agent_.assignment().feed;
  if (!offered || !agent_.summary().hub_reached) return;
  try {
    if (schedule_.take(*offered)) log::info("feed {} of {} is here", offered->name, zonda::to_string(offered->cycle));
    time_.learn(offered->cycle);
    feed_problem_.clear();
  } catch (const Error& error) {
    feed_problem_ = error.what();
    log::warning("feed: {}", error.what());
  }
}

void Station::make_forecast() {
  const auto model = agent_.model();
  if (!model || !agent_.summary().release || !schedule_.due(*agent_.summary().release)) return;
  const Release release = *agent_.summary().release;
  const bool on_trial = agent_.summary().on_trial;
  try {
    const Steady begin = parts_.clock.steady();
    schedule_.run(*model, release);
    forecast_problem_.clear();
    log::info("forecast of {} to {} by {} {} in {:.2f} s", zonda::to_string(schedule_.forecast()->initial),
              zonda::to_string(schedule_.forecast()->end()), release.name, release.version,
              (parts_.clock.steady() - begin).count());
    agent_.judge_trial(true, "", time_.now());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::temporary) return;
    forecast_problem_ = error.what();
    log::error("forecast: {}", error.what());
    schedule_.give_up(release);
    if (on_trial) {
      agent_.judge_trial(false, error.what(), time_.now());
      make_forecast();  // by the model before
    }
  }
  publish();
}

void Station::report() {
  if (!parts_.inventory) return;
  try {
    parts_.hub.report(parts_.inventory(view()));
  } catch (const Error& error) {
    log::debug("inventory: {}", error.what());
  }
}

StationView Station::view() const {
  StationView view{.forecast = schedule_.forecast(),
                   .update = agent_.summary(),
                   .feed = schedule_.feed(),
                   .feed_path = schedule_.feed() ? schedule_.feed_path() : std::filesystem::path(),
                   .time = time_.now(),
                   .hub_contact = hub_contact_,
                   .calendar_behind = time_.calendar_is_behind()};
  const auto say = [&view](std::string reason) { view.reasons.push_back(std::move(reason)); };
  if (!agent_.model()) say("no model is here yet");
  if (!view.forecast) say("no forecast was made yet");
  const bool stale = view.forecast && view.time - view.forecast->initial > settings_.stale_after;
  if (stale) say(fmt::format("the forecast starts {} ago", rough(view.time - view.forecast->initial)));
  if (hub_contact_ == Time{})
    say("the hub was not reached since the start");
  else if (view.time - hub_contact_ > settings_.silent_after)
    say(fmt::format("the hub was not reached for {}", rough(view.time - hub_contact_)));
  if (view.update.metadata_expired) say("the hub's metadata has expired");
  if (!forecast_problem_.empty()) say("the last forecast failed: " + forecast_problem_);
  if (!feed_problem_.empty()) say("the newest feed did not arrive: " + feed_problem_);
  if (!view.update.problem.empty()) say("update: " + view.update.problem);
  if (view.calendar_behind) say("the clock of this machine is behind");
  view.condition = stale                  ? StationCondition::stale
                   : view.reasons.empty() ? StationCondition::fresh
                                          : StationCondition::degraded;
  return view;
}

void Station::publish() {
  if (parts_.publish) parts_.publish(view());
  next_publish_ = parts_.clock.steady() + Steady(60);
}

}  // namespace zonda::edge
