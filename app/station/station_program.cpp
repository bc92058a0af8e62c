#include "app/station/station_program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <mutex>
#include <tuple>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/provenance.hpp"
#include "inference/edge/feed/boundary_feed.hpp"
#include "inference/edge/hub_client/station_inventory.hpp"
#include "inference/edge/hub_client/trusted_hub.hpp"
#include "inference/edge/on_demand/on_demand_runs.hpp"
#include "inference/edge/runner/bundle_runner.hpp"
#include "inference/edge/serving/station_server.hpp"
#include "inference/edge/station/resident_memory.hpp"

namespace zonda::app {

namespace fs = std::filesystem;
using edge::StationView;

namespace {

/// One process a folder.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    const fs::path path = folder / "lock";
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail(ErrorKind::failure, "{}: cannot be opened; is the folder writable?", path.string());
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor_);
      fail(ErrorKind::usage, "{}: another zonda-station runs in this folder", folder.string());
    }
  }
  ~FolderLock() { ::close(descriptor_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

edge::SecretKey station_key(const fs::path& folder) {
  const fs::path path = folder / "station.key";
  if (!fs::exists(path)) edge::SecretKey::generate().write(path);
  return edge::SecretKey::read(path);
}

edge::StationTraits traits_of(const edge::StationConfig& config, const edge::SecretKey& key) {
  std::vector<std::string> tags = hardware_tags();
  tags.insert(tags.end(), config.model.hardware.begin(), config.model.hardware.end());
  return {key.public_key().id(), config.hub.region, tags};
}

}  // namespace

std::vector<std::string> hardware_tags() {
#if defined(__x86_64__)
  std::vector<std::string> tags{"x86-64"};
  if (__builtin_cpu_supports("avx2")) tags.emplace_back("avx2");
  if (__builtin_cpu_supports("avx512f")) tags.emplace_back("avx512");
  return tags;
#elif defined(__aarch64__)
  return {"aarch64", "neon"};
#else
  return {};
#endif
}

struct StationProgram::Parts {
  edge::StationConfig config;
  std::function<bool()> cancelled;
  FolderLock folder_lock;
  edge::SecretKey key;
  edge::StationTraits traits;
  edge::SystemClock clock;
  edge::HttpTransport transport;
  edge::TrustedHub hub;
  edge::ServiceNotice notice;
  std::unique_ptr<edge::OnDemandRuns> on_demand;
  std::unique_ptr<edge::StationServer> server;
  std::string shown;  // on the last line of status
  edge::StationCorrection correction;
  std::mutex correction_mutex;
  std::shared_ptr<const edge::RegionalForecast> released_after;  // memory was given back after it was made
  std::optional<Time> followed;  // initial time of the last run that reports are compared with
  std::tuple<std::shared_ptr<edge::ModelRunner>, fs::path, std::shared_ptr<const edge::RegionalForecast>> demanded;
  edge::BundleModels models;
  edge::Station station;

  std::pair<std::shared_ptr<edge::ModelRunner>, std::shared_ptr<const std::vector<edge::CoastSegment>>> coast;

  std::shared_ptr<const std::vector<edge::CoastSegment>> coast_of(const std::shared_ptr<edge::ModelRunner>& model) {
    if (model && coast.first != model)
      coast = {model, std::make_shared<const std::vector<edge::CoastSegment>>(model->coast())};
    return coast.second;
  }
  fs::path correction_file() const { return config.directory / "correction.state"; }
  void load_correction();
  edge::ObservationReceipt learn(const std::vector<edge::SensorReport>& reports);
  void correct(const edge::RegionalForecast& forecast, edge::StationState& state);
  void offer_runs(const StationView& view);

  Parts(edge::StationConfig given, std::function<bool()> stop)
      : config(std::move(given)),
        cancelled(std::move(stop)),
        folder_lock(config.directory),
        key(station_key(config.directory)),
        traits(traits_of(config, key)),
        transport(config.http_limits()),
        hub({config.hub.url, config.directory / "hub", traits, config.model.name}, transport,
            read_file(config.hub.root)),
        correction(config.correction, config.place.latitude, config.place.longitude),
        models(edge::bundle_models(config.model.threads, [this] { notice.alive(); })),
        station(config.settings(), {.clock = clock,
                                    .transport = transport,
                                    .hub = hub,
                                    .open = models.open,
                                    .prepare = models.prepare,
                                    .inventory =
                                        [this](const StationView& view) {
                                          return edge::signed_inventory(view, traits, key, config.id, code_version());
                                        },
                                    .publish = [this](const StationView& view) { publish(view); },
                                    .heartbeat = [this] { notice.alive(); },
                                    .cancelled = cancelled}) {
    load_correction();
    transport.set_cancelled([this] {
      notice.alive();
      return cancelled();
    });
  }

  void publish(const StationView& view) {
    write_file(config.directory / "status.json", status_record(config, view).dump(2) + "\n");
    const std::string line = fmt::format(
        "{} {}", to_string(view.condition),
        view.update.release ? view.update.release->name + " " + view.update.release->version : "without a model");
    if (line != shown) {
      log::info("{}{}{}", line, view.reasons.empty() ? "" : ": ", fmt::join(view.reasons, "; "));
      notice.status(line);
      shown = line;
    }
    if (on_demand) offer_runs(view);
    if (!server) return;
    auto state = std::make_shared<edge::StationState>();
    state->station = config.id;
    state->latitude = config.place.latitude;
    state->longitude = config.place.longitude;
    state->stale_after = config.stale_after;
    state->forecast = view.forecast;
    if (view.condition != edge::StationCondition::stale) state->faults = view.reasons;
    if (view.feed && view.forecast && view.feed->cycle == view.forecast->initial)
      state->feed_reach = view.forecast->end();
    if (view.forecast) correct(*view.forecast, *state);
    state->coast = coast_of(station.agent().model());
    state->software = code_version();
    server->publish(state);
    if (view.forecast != released_after) {
      released_after = view.forecast;
      edge::release_idle_memory();
    }
  }
};

/// Reports come from a thread of the server.
edge::ObservationReceipt StationProgram::Parts::learn(const std::vector<edge::SensorReport>& reports) {
  const std::scoped_lock lock(correction_mutex);
  edge::ObservationReceipt receipt = correction.observe(reports);
  correction.save(correction_file());
  return receipt;
}

void StationProgram::Parts::correct(const edge::RegionalForecast& forecast, edge::StationState& state) {
  if (config.correction.variables.empty()) return;
  const std::scoped_lock lock(correction_mutex);
  try {
    if (followed != forecast.initial) {
      correction.follow(forecast);
      correction.save(correction_file());
      followed = forecast.initial;
    }
    state.corrected = correction.correct(forecast);
  } catch (const Error& error) {
    state.faults.push_back(fmt::format("the correction does not work: {}", error.what()));
  }
}

/// Requests are run by the model that serves, on the feed that is here.
void StationProgram::Parts::offer_runs(const StationView& view) {
  const std::shared_ptr<edge::ModelRunner> model = station.agent().model();
  auto now = std::tuple(model, view.feed_path, view.forecast);
  if (now == demanded) return;
  demanded = now;
  auto offered = std::make_shared<edge::DemandedModel>();
  if (model && view.feed && view.update.release) try {
      const edge::BoundaryFeed feed = edge::read_feed(view.feed_path);
      const std::size_t steps = std::min(
          feed.leads.size(), static_cast<std::size_t>(std::max<std::int64_t>(1, config.on_demand.reach / feed.step)));
      offered->identity = view.update.release->identity();
      for (const double seconds : model->step_seconds())
        offered->costs.emplace_back(seconds * static_cast<double>(steps));
      offered->run = [model, path = view.feed_path, steps, stop = cancelled](int level, int member) {
        return model->run_on_demand(path, {.level = level, .steps = steps, .member = member}, stop);
      };
      if (view.forecast && view.forecast->initial == view.feed->cycle) offered->last = view.forecast;
    } catch (const Error& damage) {
      log::warning("nothing is run on demand: {}", damage.what());
      offered = nullptr;
    }
  on_demand->serve(std::move(offered));
}

void StationProgram::Parts::load_correction() {
  if (!fs::exists(correction_file())) return;
  try {
    correction.load(correction_file());
  } catch (const Error& damage) {
    log::warning("{}; the correction learns anew", damage.what());
  }
}

StationProgram::StationProgram(edge::StationConfig config, std::function<bool()> cancelled)
    : parts_(std::make_unique<Parts>(std::move(config), std::move(cancelled))) {}

StationProgram::~StationProgram() = default;

void StationProgram::run() {
  Parts& parts = *parts_;
  edge::StationServer::Observe observe;
  if (!parts.config.correction.variables.empty())
    observe = [&parts](const std::vector<edge::SensorReport>& reports) { return parts.learn(reports); };
  const edge::OnDemandSection& on_demand = parts.config.on_demand;
  if (on_demand.enabled)
    parts.on_demand =
        std::make_unique<edge::OnDemandRuns>(on_demand.coarsest_level, static_cast<std::size_t>(on_demand.waiting));
  parts.server = std::make_unique<edge::StationServer>(
      parts.config.serve, [&parts] { return parts.station.now(); }, observe, parts.on_demand.get());
  const int port = parts.server->start();
  log::info("station {} (key {:.12}) serves on http://{}:{}/", parts.config.id, parts.traits.id,
            parts.config.serve.address, port);
  parts.station.start();
  parts.notice.ready();
  parts.station.run();
  parts.notice.stopping();
  if (parts.on_demand) parts.on_demand->serve(nullptr);
  parts.server->stop();
}

void StationProgram::once() {
  parts_->station.start();
  parts_->station.tick();
}

nlohmann::ordered_json StationProgram::status() const {
  return status_record(parts_->config, parts_->station.view());
}

nlohmann::ordered_json status_record(const edge::StationConfig& config, const StationView& view) {
  nlohmann::ordered_json status;
  status["station"] = config.id;
  status["time"] = zonda::to_string(view.time);
  status["condition"] = to_string(view.condition);
  status["reasons"] = view.reasons;
  status["update"] = {{"state", to_string(view.update.state)},
                      {"on_trial", view.update.on_trial},
                      {"rollbacks", view.update.rollbacks},
                      {"problem", view.update.problem}};
  if (view.update.release) {
    status["model"] = {{"name", view.update.release->name},
                       {"version", view.update.release->version},
                       {"slot", to_string(*view.update.slot)},
                       {"opening_ms", 1e3 * view.update.opening_seconds},
                       {"testing_ms", 1e3 * view.update.testing_seconds}};
  }
  if (view.feed) status["feed"] = {{"name", view.feed->name}, {"cycle", zonda::to_string(view.feed->cycle)}};
  if (view.forecast) {
    status["forecast"] = {{"initial", zonda::to_string(view.forecast->initial)},
                          {"end", zonda::to_string(view.forecast->end())},
                          {"model", view.forecast->model}};
  }
  if (view.hub_contact != Time{}) status["hub_contact"] = zonda::to_string(view.hub_contact);
  status["software"] = code_version();
  return status;
}

std::string status_text(const nlohmann::ordered_json& status) {
  const auto word = [&status](const char* section, const char* key) {
    return status.contains(section) ? status[section].value(key, "") : std::string("none");
  };
  std::string text = fmt::format("{:<10}{}\n", "station", status.value("station", ""));
  text += fmt::format("{:<10}{}, as of {}\n", "condition", status.value("condition", ""), status.value("time", ""));
  for (const auto& reason : status["reasons"]) text += fmt::format("{:<10}- {}\n", "", reason.get<std::string>());
  text += status.contains("model") ? fmt::format("{:<10}{} {} (slot {})\n", "model", word("model", "name"),
                                                 word("model", "version"), word("model", "slot"))
                                   : fmt::format("{:<10}none\n", "model");
  text += fmt::format("{:<10}{}\n", "feed", word("feed", "cycle"));
  text += status.contains("forecast")
              ? fmt::format("{:<10}{} to {}\n", "forecast", word("forecast", "initial"), word("forecast", "end"))
              : fmt::format("{:<10}none\n", "forecast");
  text += fmt::format("{:<10}{}\n", "update", word("update", "state"));
  text += fmt::format("{:<10}{}\n", "hub", status.value("hub_contact", "not reached yet"));
  return text;
}

}  // namespace zonda::app
