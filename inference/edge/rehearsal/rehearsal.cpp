#include "inference/edge/rehearsal/rehearsal.hpp"

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/provenance.hpp"
#include "inference/edge/download/http_transport.hpp"
#include "inference/edge/hub/hub_server.hpp"
#include "inference/edge/hub/publication.hpp"
#include "inference/edge/hub_client/station_inventory.hpp"
#include "inference/edge/hub_client/trusted_hub.hpp"
#include "inference/edge/runner/bundle_runner.hpp"
#include "inference/edge/simulator/spoiled_bundle.hpp"

namespace zonda::edge {
namespace {

namespace fs = std::filesystem;

/// Stations that one thread plays share its connection.
class ThreadTransport final : public Transport {
 public:
  Reply get(const Request& request, const BodySink& sink) override { return connection().get(request, sink); }
  Reply post(const std::string& url, std::string_view type, std::string_view body) override {
    return connection().post(url, type, body);
  }

 private:
  static HttpTransport& connection() {
    thread_local HttpTransport transport;
    return transport;
  }
};

/// The hub is opened by its server too, for a moment after some reports.
template <class Work>
auto with_repository(const fs::path& hub, const std::string& passphrase, Work&& work) {
  for (int attempt = 0;; ++attempt) {
    try {
      Repository repository(hub, passphrase);
      return work(repository);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::temporary || attempt > 200) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
}

void copy_hub(const fs::path& from, const fs::path& to) {
  for (const char* part : {"hub.json", "keys", "public"})
    if (!fs::exists(from / part)) fail(ErrorKind::data, "{}: not a hub: it holds no {}", from.string(), part);
  fs::create_directories(to);
  for (const char* part : {"hub.json", "keys", "public"}) fs::copy(from / part, to / part, fs::copy_options::recursive);
}

class Stage {
 public:
  explicit Stage(const RehearsalRequest& request) : request_(request), hub_(request.directory / "hub") {
    if (fs::exists(request.directory) && !fs::is_empty(request.directory))
      fail(ErrorKind::usage, "{}: not empty; a rehearsal wants a folder of its own", request.directory.string());
    copy_hub(request.hub, hub_);
    const Time now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    hub_time_ = now.time_since_epoch().count();
    server_.emplace(hub_,
                    HubServerOptions{.port = 0, .advance = true, .passphrase = request.passphrase, .clock = [this] {
                                       return Time(Duration(hub_time_.load()));
                                     }});
    serving_ = std::jthread([this] { server_->run(); });
    url_ = fmt::format("http://127.0.0.1:{}", server_->port());
    root_ = read_file(hub_ / "public" / "metadata" / "root.json");
    FleetSettings settings = request.fleet;
    settings.directory = request.directory / "stations";
    settings.start = now;
    for (int i = 0; i < settings.stations; ++i)
      keys_.push_back(SecretKey::from_seed(sha256(fmt::format("station {} {}", settings.seed, i)).substr(0, 32)));
    const OpenModel open = bundle_opener(1, {});
    fleet_.emplace(settings, [this, open](int index) { return outfit(index, open); });
  }
  ~Stage() { server_->stop(); }

  AssignmentRule rule() const {
    const auto rules =
        with_repository(hub_, request_.passphrase, [](Repository& hub) { return published_rules(hub).rules; });
    for (const AssignmentRule& rule : rules)
      if (rule.model == request_.model && rule.region == request_.region) return rule;
    fail(ErrorKind::usage, "no rule assigns the model '{}' to the region '{}'", request_.model, request_.region);
  }

  void live(Duration duration) {
    const Time until = fleet_->now() + duration;
    hub_time_ = until.time_since_epoch().count();
    with_repository(hub_, request_.passphrase, [&](Repository& hub) { return hub.renew(until); });
    fleet_->live(duration);
    rehearsal.history.push_back(fleet_->counts());
  }

  int serving(const std::string& version) const {
    const auto& versions = rehearsal.history.back().versions;
    const auto found = versions.find(request_.model + " " + version);
    return found == versions.end() ? 0 : found->second;
  }

  void assign_candidate() {
    const std::string before = rule().version;
    with_repository(hub_, request_.passphrase, [&](Repository& hub) {
      rehearsal.version = request_.version;
      if (request_.drill) {
        rehearsal.version = before + "-drill";
        const PublishedRelease release = published_release(hub, request_.model, before);
        const fs::path present = request_.directory / "present";
        fs::create_directories(present);
        for (const PublishedFile& file : release.files)
          write_file(present / file.name, hub.content("targets", file.target));
        write_spoiled_bundle(present, request_.directory / "spoiled");
        publish_bundle(hub, {request_.directory / "spoiled", request_.model, rehearsal.version, release.region, {}, {}},
                       now());
      } else if (!request_.bundle.empty()) {
        const PublishedRelease release = published_release(hub, request_.model, before);
        publish_bundle(hub, {request_.bundle, request_.model, request_.version, release.region, {before}, {}}, now());
      }
      AssignmentRule wanted;
      wanted.model = request_.model;
      wanted.region = request_.region;
      wanted.version = rehearsal.version;
      wanted.percent = request_.waves;
      wanted.failing_percent = request_.failing_percent;
      wanted.least_reports = request_.least_reports;
      return assign(hub, wanted, now());
    });
  }
  Time now() const { return fleet_->now(); }

  Rehearsal rehearsal;

 private:
  StationOutfit outfit(int index, const OpenModel& open) const {
    const SecretKey& key = keys_[static_cast<std::size_t>(index)];
    const StationTraits traits{key.public_key().id(), request_.region, hardware_};
    return {std::make_unique<ThreadTransport>(), open,
            [this, traits](const StationSettings& station, Transport& link) {
              return std::make_unique<TrustedHub>(TrustedHub::Settings{url_, station.directory / "hub", traits}, link,
                                                  root_);
            },
            [&key, traits](const StationSettings& station, const StationView& view) {
              return signed_inventory(view, traits, key, station.id, code_version());
            }};
  }

  const RehearsalRequest& request_;
  const fs::path hub_;
  const std::vector<std::string> hardware_ = {"x86-64", "avx2", "avx512", "aarch64", "neon", "cpu"};
  std::atomic<std::int64_t> hub_time_{0};
  std::optional<HubServer> server_;
  std::jthread serving_;
  std::string url_, root_;
  std::vector<SecretKey> keys_;
  std::optional<Fleet> fleet_;
};

}  // namespace

Rehearsal rehearse(const RehearsalRequest& request) {
  if (request.version.empty() && !request.drill) fail(ErrorKind::usage, "what goes out? a version, or a drill");
  Stage stage(request);
  const std::string present = stage.rule().version;
  const Duration hour = std::chrono::hours(1);
  const std::int64_t hours = (request.before + request.after + request.settle) / hour;
  Progress progress("rehearsal", hours, "hour");
  std::int64_t lived = 0;
  const auto live = [&](Duration duration) {
    stage.live(duration);
    lived += duration / hour;
    const FleetCounts& counts = stage.rehearsal.history.back();
    progress.update(lived, fmt::format("{} of {} stations have a model", counts.with_model, counts.stations));
  };
  for (Duration passed{0}; passed < request.before; passed += 4 * hour) {
    live(4 * hour);
    if (stage.serving(present) == request.fleet.stations) break;
  }
  stage.assign_candidate();
  Rehearsal& rehearsal = stage.rehearsal;
  rehearsal.decided_hours = -1;
  for (Duration passed{0}; passed < request.after; passed += 2 * hour) {
    live(2 * hour);
    rehearsal.most_with_it = std::max(rehearsal.most_with_it, stage.serving(rehearsal.version));
    const AssignmentRule rule = stage.rule();
    rehearsal.stopped = rule.stopped;
    rehearsal.reason = rule.reason;
    if (!rule.stopped && rehearsal.most_with_it < request.fleet.stations) continue;
    rehearsal.decided_hours = static_cast<double>((passed + 2 * hour) / hour);
    break;
  }
  live(request.settle);
  progress.finish(rehearsal.stopped ? "stopped" : "");
  return rehearsal;
}

nlohmann::ordered_json to_json(const Rehearsal& rehearsal) {
  nlohmann::ordered_json json{{"version", rehearsal.version},
                              {"stopped", rehearsal.stopped},
                              {"reason", rehearsal.reason},
                              {"decided_hours", rehearsal.decided_hours},
                              {"most_with_it", rehearsal.most_with_it},
                              {"end", to_json(rehearsal.history.back())},
                              {"history", nlohmann::ordered_json::array()}};
  for (const FleetCounts& counts : rehearsal.history) json["history"].push_back(to_json(counts));
  return json;
}

}  // namespace zonda::edge
