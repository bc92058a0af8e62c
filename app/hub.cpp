#include <CLI/CLI.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/verb.hpp"
#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/signals.hpp"
#include "inference/edge/hub/feed_maker.hpp"
#include "inference/edge/hub/hub_server.hpp"
#include "inference/edge/hub/publication.hpp"
#include "inference/edge/rehearsal/rehearsal.hpp"

namespace zonda::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Words {
  fs::path hub, bundle, forecast, states, to, replace;
  std::vector<fs::path> root_keys;
  int threshold = 2, keep = 8;
  std::string name, version, region, role, stop, grid, step, address = "127.0.0.1";
  std::vector<std::string> parents, hardware, channels;
  std::vector<int> waves;
  int failing_percent = 5, least_reports = 3, ring = 8, port = 8460;
  bool advance = false, verify = false;
  double precision = 1e-3;
  edge::RehearsalRequest rehearsal;
};

Time now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

/// Never on the command line, where everybody on the machine could read it.
std::string passphrase() {
  const char* word = std::getenv("ZONDA_HUB_PASSPHRASE");
  return word == nullptr ? "" : word;
}

json init(const Words& words) {
  std::vector<fs::path> folders = words.root_keys;
  if (folders.empty())
    for (const char* one : {"1", "2", "3"}) folders.push_back(words.hub / "offline-root" / one);
  const auto hub =
      edge::Repository::create(words.hub, folders, words.threshold, edge::Lifetimes{}, passphrase(), now());
  json result{{"hub", words.hub.string()},
              {"root_for_stations", (hub.public_folder() / "metadata" / "root.json").string()},
              {"root_keys", json::array()},
              {"threshold", words.threshold}};
  for (const fs::path& folder : folders) result["root_keys"].push_back((folder / "root.key").string());
  log::warning("keep the root keys apart from each other and from this machine: {} of them sign a new root",
               words.threshold);
  return result;
}

json publish(const Words& words) {
  edge::Repository hub(words.hub, passphrase());
  return edge::publish_bundle(
             hub, {words.bundle, words.name, words.version, words.region, words.parents, words.hardware}, now())
      .to_json();
}

json assign(const Words& words) {
  edge::Repository hub(words.hub, passphrase());
  if (!words.stop.empty()) {
    edge::stop_waves(hub, words.name, words.region, words.stop, now());
  } else if (words.advance) {
    edge::advance_wave(hub, words.name, words.region, now());
  } else {
    if (words.version.empty()) fail(ErrorKind::usage, "which version? --version, or --advance, or --stop REASON");
    edge::AssignmentRule rule;
    rule.region = words.region;
    rule.hardware = words.hardware;
    rule.model = words.name;
    rule.version = words.version;
    if (!words.waves.empty()) rule.percent = words.waves;
    rule.failing_percent = words.failing_percent;
    rule.least_reports = words.least_reports;
    edge::assign(hub, rule, now());
  }
  return edge::published_rules(hub).to_json();
}

json feed(const Words& words) {
  const bool by_bundle = !words.bundle.empty();
  if (!by_bundle && (words.grid.empty() || words.channels.empty() || words.step.empty()))
    fail(ErrorKind::usage, "for which model? --bundle, or --grid, --channels, --ring and --step");
  edge::FeedDemand demand =
      by_bundle ? edge::FeedDemand::of_bundle(words.bundle, words.region)
                : edge::FeedDemand{words.region, Grid::parse(words.grid), {}, words.ring, parse_duration(words.step)};
  if (!by_bundle)
    for (const std::string& channel : words.channels) demand.channels.push_back(parse_channel(channel));
  const edge::BoundaryFeed made = edge::make_feed(words.forecast, words.states, demand, words.precision);
  const fs::path file =
      words.to.empty() ? words.hub / "feeds" / words.region / (compact(made.cycle) + ".feed") : words.to;
  edge::write_feed(file, made);
  edge::Repository hub(words.hub, passphrase());
  const auto target = edge::publish_feed(hub, file, words.keep, now());
  if (words.to.empty()) fs::remove(file);
  return {{"target", edge::feed_target(made.region, compact(made.cycle))},
          {"bytes", target.length},
          {"sha256", target.sha256},
          {"cycle", to_string(made.cycle)},
          {"reach", to_string(made.reach())}};
}

json rotate(const Words& words) {
  edge::Repository hub(words.hub, passphrase());
  hub.rotate(words.role, words.root_keys, words.replace, now());
  return {{"role", words.role}, {"root_version", hub.root().version}};
}

json renew(const Words& words) {
  edge::Repository hub(words.hub, passphrase());
  return {{"signed", hub.renew(now())}};
}

json show_log(const Words& words) {
  const edge::Repository hub(words.hub, passphrase());
  json result{{"entries", hub.log().entries()}};  // verified
  if (words.verify) {
    for (const char* role : {"targets", "assignment", "feeds"}) {
      const auto& head = hub.role(role).more.value("release_log", json::object());
      if (!hub.log().had({head.value("entries", std::int64_t{-1}), head.value("sha256", "")}))
        fail(ErrorKind::data, "the log is not the one that role {} signed", role);
    }
    for (const json& entry : result["entries"])
      if (entry["event"] == "publish")
        edge::published_release(hub, entry["details"]["name"], entry["details"]["version"]);
    result["verified"] = true;
  }
  return result;
}

json simulate(const Words& words) {
  edge::RehearsalRequest request = words.rehearsal;
  request.hub = words.hub;
  request.directory = words.to;
  request.passphrase = passphrase();
  request.model = words.name;
  request.region = words.region;
  request.version = words.version;
  request.bundle = words.bundle;
  if (!words.waves.empty()) request.waves = words.waves;
  request.failing_percent = words.failing_percent;
  request.least_reports = words.least_reports;
  log::set_level(log::Level::error);  // of two hundred stations
  const edge::Rehearsal rehearsal = edge::rehearse(request);
  log::set_level(log::Level::info);
  for (const char* part : {"hub", "stations", "present", "spoiled"}) fs::remove_all(words.to / part);
  const auto record = edge::to_json(rehearsal);
  write_file(words.to / "rehearsal.json", record.dump(2) + "\n");
  const edge::FleetCounts& end = rehearsal.history.back();
  const std::string went = rehearsal.stopped              ? "stopped: " + rehearsal.reason
                           : rehearsal.decided_hours >= 0 ? "reached all stations"
                                                          : "did not reach all stations in time";
  write_file(words.to / "rehearsal.html",
             edge::fleet_report(fmt::format("{} {} {}", words.name, rehearsal.version, went), rehearsal.history));
  json result{{"version", rehearsal.version},
              {"outcome", went},
              {"decided_hours", rehearsal.decided_hours},
              {"most_with_it", rehearsal.most_with_it},
              {"stations", end.stations},
              {"with_model", end.with_model},
              {"lost_their_model", end.lost_their_model},
              {"versions", end.versions},
              {"rollbacks", end.rollbacks},
              {"restarts", end.restarts},
              {"clock_jumps", end.clock_jumps},
              {"link", json(edge::to_json(end))["link"]},
              {"report", (words.to / "rehearsal.html").string()}};
  return result;
}

void serve(const Words& words, const Session& session) {
  edge::HubServer server(words.hub, {words.address, words.port, words.advance, passphrase()});
  print_result(session, fmt::format("http://{}:{}", words.address, server.port()));
  // Signatures are renewed while the hub serves.
  std::jthread watch([&](const std::stop_token& stopping) {
    for (std::int64_t second = 0; !stopping.stop_requested() && !stop_requested(); ++second) {
      if (second % 3600 == 0) {
        try {
          edge::Repository(words.hub, passphrase()).renew(now());
        } catch (const Error& error) {
          log::warning("signatures could not be renewed: {}", error.what());
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1000));
    }
    server.stop();
  });
  server.run();
  watch.request_stop();
}

std::string rows(const json& value, const std::string& indent = "") {
  std::string text;
  for (const auto& [key, member] : value.items()) {
    const std::string name = value.is_array() ? "-" : key;
    if (member.is_structured() && !member.empty())
      text += fmt::format("{}{}\n{}", indent, name, rows(member, indent + "  "));
    else
      text +=
          fmt::format("{}{:<12} {}\n", indent, name, member.is_string() ? member.get<std::string>() : member.dump());
  }
  return text;
}

}  // namespace

Verb hub_verb() {
  return {
      "hub", "Publish models and feeds that stations pull: signed, in waves",
      "zonda hub init site && zonda hub publish site bundle --name europe --version 1.0 && "
      "zonda hub assign site --name europe --version 1.0 && zonda hub serve site --port 8460",
      [](CLI::App& command, Session& session) {
        auto words = std::make_shared<Words>();
        auto chosen = std::make_shared<std::function<json()>>();
        command.require_subcommand(1);
        const auto add = [&](const char* name, const char* summary, const char* example, json (*action)(const Words&)) {
          CLI::App* sub = command.add_subcommand(name, summary);
          sub->footer(std::string("\nExample:\n  ") + example);
          sub->add_option("HUB", words->hub, "The hub's folder")->required();
          sub->add_flag("--json", session.json, "Print results on stdout as JSON");
          if (action != nullptr)
            sub->final_callback([words, chosen, action] { *chosen = [words, action] { return action(*words); }; });
          return sub;
        };
        auto* sub = add("init", "Make keys and the first metadata; ZONDA_HUB_PASSPHRASE seals the keys",
                        "zonda hub init site --root-keys /media/a /media/b /media/c", init);
        sub->add_option("--root-keys", words->root_keys, "A folder for each root key (default: three under the hub)");
        sub->add_option("--threshold", words->threshold, "Root keys that a new root needs")->capture_default_str();

        sub = add("publish", "Publish a bundle as a release",
                  "zonda hub publish site bundle --name europe --version 1.1 --parents 1.0", publish);
        sub->add_option("BUNDLE", words->bundle, "The folder that `zonda export` wrote")->required();
        sub->add_option("--name", words->name, "Of the model")->required();
        sub->add_option("--version", words->version, "Of the release; never changes its content")->required();
        sub->add_option("--region", words->region, "That it is for");
        sub->add_option("--parents", words->parents, "Versions that it was made from")->delimiter(',');
        sub->add_option("--hardware", words->hardware, "Tags that a station must have")->delimiter(',');

        sub = add("assign", "Say who runs what: a new version in waves, the next wave, or back",
                  "zonda hub assign site --name europe --version 1.1 --region europe --waves 5,25,100", assign);
        sub->add_option("--name", words->name, "Of the model")->required();
        sub->add_option("--version", words->version, "That stations should run");
        sub->add_option("--region", words->region, "Of the stations (default: any)");
        sub->add_option("--hardware", words->hardware, "Tags of the stations")->delimiter(',');
        sub->add_option("--waves", words->waves, "Percent of the stations, wave by wave")->delimiter(',');
        sub->add_option("--failing-percent", words->failing_percent, "More failures than this stop the waves")
            ->capture_default_str();
        sub->add_option("--least-reports", words->least_reports, "Before a gate opens or closes")
            ->capture_default_str();
        sub->add_flag("--advance", words->advance, "The next wave");
        sub->add_option("--stop", words->stop, "All go back to the version of before, for this reason");

        sub = add("feed", "Publish the boundary and initial state of a forecast for a region",
                  "zonda hub feed site runs/era5/forecast/2019030406.nc --states runs/era5/archive --bundle bundle "
                  "--region europe",
                  feed);
        sub->add_option("FORECAST", words->forecast, "A file that `zonda forecast` wrote")->required();
        sub->add_option("--states", words->states, "Archive or file with the initial states")->required();
        sub->add_option("--region", words->region, "Name of the region")->required();
        sub->add_option("--bundle", words->bundle, "Of the model that the feed is for");
        sub->add_option("--grid", words->grid, "Instead of a bundle: the region's grid");
        sub->add_option("--channels", words->channels, "its channels")->delimiter(',');
        sub->add_option("--ring", words->ring, "the width of its ring in cells")->capture_default_str();
        sub->add_option("--step", words->step, "its step");
        sub->add_option("--precision", words->precision, "Rounding, in standard deviations; 0: none")
            ->capture_default_str();
        sub->add_option("--keep", words->keep, "Cycles that stay listed")->capture_default_str();
        sub->add_option("--to", words->to, "Keep the feed's file here too");

        sub = add("rotate", "Give a role a new key and take the old one back",
                  "zonda hub rotate site --role timestamp --root-keys /media/a /media/b", rotate);
        sub->add_option("--role", words->role, "root, targets, snapshot, timestamp, assignment or feeds")->required();
        sub->add_option("--root-keys", words->root_keys, "Folders of root keys, as many as the threshold");
        sub->add_option("--replace", words->replace, "For role root: the folder whose key becomes another");

        sub = add("simulate", "Rehearse a release: a fleet of simulated stations against a copy of the hub, over HTTP",
                  "zonda hub simulate site --name europe --region europe --version 1.1 --stations 200 --waves 5,25,100 "
                  "--to rehearsal",
                  simulate);
        edge::RehearsalRequest& rehearsal = words->rehearsal;
        sub->add_option("--name", words->name, "Of the model, whose rule the stations follow")->required();
        sub->add_option("--region", words->region, "Of the rule (default: any)");
        auto* version = sub->add_option("--version", words->version, "That goes out");
        sub->add_option("--bundle", words->bundle, "To publish in the copy as that version")->needs(version);
        sub->add_flag("--drill", rehearsal.drill,
                      "What goes out is the present release with a self-test that cannot pass")
            ->excludes(version);
        sub->add_option("--waves", words->waves, "Percent of the stations, wave by wave (default: 5,25,100)")
            ->delimiter(',');
        sub->add_option("--failing-percent", words->failing_percent, "More failures than this stop the waves")
            ->capture_default_str();
        sub->add_option("--least-reports", words->least_reports, "Before a gate opens or closes")
            ->capture_default_str();
        sub->add_option("--to", words->to, "Folder of the work and of the report, new or empty")->required();
        edge::FleetSettings& fleet = rehearsal.fleet;
        sub->add_option("--stations", fleet.stations, "How many")->capture_default_str()->check(CLI::Range(1, 10000));
        sub->add_option("--threads", fleet.threads, "That play them")->capture_default_str()->check(CLI::Range(1, 256));
        sub->add_option("--seed", fleet.seed, "Of all that is drawn")->capture_default_str();
        const auto share = CLI::Range(0.0, 1.0);
        sub->add_option("--loss", fleet.link.loss, "Share of exchanges that fail")->capture_default_str()->check(share);
        sub->add_option("--truncation", fleet.link.truncation, "Share of bodies that break off")
            ->capture_default_str()
            ->check(share);
        sub->add_option("--corruption", fleet.link.corruption, "Share of bodies with a wrong byte")
            ->capture_default_str()
            ->check(share);
        sub->add_option("--delay", fleet.link.delay_seconds, "Mean wait of an exchange, s")->capture_default_str();
        sub->add_option("--restarts", fleet.restarts_per_day, "Of a station a day")->capture_default_str();
        sub->add_option("--clock-jumps", fleet.clock_jumps_per_day, "Of a station a day, by up to 30 days")
            ->capture_default_str();

        add("renew", "Sign anew what has passed half of its lifetime", "zonda hub renew site", renew);

        sub = add("log", "Show the release log", "zonda hub log site --verify", show_log);
        sub->add_flag("--verify", words->verify, "Also against what the roles signed");

        sub = add("serve", "Serve the files and take reports, over HTTP", "zonda hub serve site --port 8460", nullptr);
        sub->add_option("--address", words->address, "To listen at")->capture_default_str();
        sub->add_option("--port", words->port, "0: any free one")->capture_default_str();
        sub->add_flag("--advance", words->advance, "Waves go on by themselves when their gate opens");

        return [&session, words, chosen] {
          if (!session.speaks()) return;
          if (!*chosen) return serve(*words, session);
          const json result = (*chosen)();
          print_result(session, session.json ? result.dump(2) : rows(result));
        };
      }};
}

}  // namespace zonda::app
