#include "inference/edge/simulator/fleet.hpp"

#include <algorithm>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.hpp"

namespace zonda::edge {

struct Fleet::Member {
  int index = 0;
  StationSettings settings;
  std::unique_ptr<SimulatedClock> clock;
  StationOutfit outfit;
  std::unique_ptr<FaultyTransport> link;
  std::unique_ptr<Hub> hub;
  std::unique_ptr<Station> station;
  std::unique_ptr<Philox> random;
  std::uint64_t steps = 0;
  Steady stepped{0};
  Time mended{};  ///< when the calendar is set right again
  bool had_model = false, lost_model = false;
  int rollbacks_before = 0;
};

Fleet::Fleet(FleetSettings settings, std::function<StationOutfit(int)> outfit)
    : settings_(std::move(settings)), outfit_(std::move(outfit)), now_(settings_.start) {
  for (int i = 0; i < settings_.stations; ++i) {
    auto member = std::make_unique<Member>();
    member->index = i;
    member->settings.id = fmt::format("station-{:03}", i);
    member->settings.directory = settings_.directory / member->settings.id;
    member->settings.poll_interval = settings_.poll_interval;
    member->settings.download = {.attempts = 4, .reserve_bytes = 0};
    member->clock = std::make_unique<SimulatedClock>(settings_.start);
    member->random = std::make_unique<Philox>(settings_.seed, "life of " + member->settings.id);
    std::filesystem::create_directories(member->settings.directory);
    start(*member);
    members_.push_back(std::move(member));
  }
}

Fleet::~Fleet() = default;

void Fleet::start(Member& member) {
  member.station.reset();
  member.hub.reset();
  member.link.reset();
  member.outfit = outfit_(member.index);
  member.link = std::make_unique<FaultyTransport>(*member.outfit.transport, *member.clock, settings_.link, link_counts_,
                                                  settings_.seed + member.steps, member.settings.id);
  member.hub = member.outfit.hub(member.settings, *member.link);
  Station::Parts parts{
      .clock = *member.clock, .transport = *member.link, .hub = *member.hub, .open = member.outfit.open};
  if (member.outfit.inventory)
    parts.inventory = [&member](const StationView& view) { return member.outfit.inventory(member.settings, view); };
  member.station = std::make_unique<Station>(member.settings, std::move(parts));
  member.station->start();
  member.rollbacks_before = member.station->view().update.rollbacks;
}

void Fleet::live(Member& member, Time until) {
  while (member.clock->truth() < until) {
    const double days = (member.clock->steady() - member.stepped).count() / 86400;  // since the last step
    member.stepped = member.clock->steady();
    const std::uint64_t step = member.steps++;
    if (member.random->uniform(4 * step) < settings_.restarts_per_day * days) {
      ++restarts_;
      start(member);
    }
    if (member.clock->truth() >= member.mended) member.clock->set_calendar_error(Duration(0));
    if (member.random->uniform(4 * step + 1) < settings_.clock_jumps_per_day * days) {
      ++clock_jumps_;
      const double jump = (2 * member.random->uniform(4 * step + 2) - 1) * 30 * 86400;
      member.clock->set_calendar_error(Duration(static_cast<std::int64_t>(jump)));
      member.mended = member.clock->truth() + std::chrono::hours(24);
    }
    member.station->tick();
    const StationView view = member.station->view();
    rollbacks_ += view.update.rollbacks - member.rollbacks_before;
    member.rollbacks_before = view.update.rollbacks;
    const bool has_model = member.station->agent().model() != nullptr;
    if (member.had_model && !has_model) member.lost_model = true;
    member.had_model = member.had_model || has_model;
    const Steady next = std::clamp(member.station->until_due(), Steady(1), Steady(settings_.poll_interval));
    const Steady left(std::chrono::duration<double>(until - member.clock->truth()));
    member.clock->pass(std::max(Steady(1), std::min(next, left)));
  }
}

void Fleet::live(Duration duration) {
  now_ += duration;
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failed;
  std::vector<std::thread> workers;
  for (int worker = 0; worker < settings_.threads; ++worker) {
    workers.emplace_back([&] {
      for (std::size_t i; (i = next++) < members_.size();) {
        try {
          live(*members_[i], now_);
        } catch (...) {
          const std::scoped_lock lock(mutex);
          failed = std::current_exception();
        }
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  if (failed) std::rethrow_exception(failed);
}

FleetCounts Fleet::counts() const {
  FleetCounts counts{.time = now_,
                     .stations = static_cast<int>(members_.size()),
                     .restarts = restarts_,
                     .clock_jumps = clock_jumps_,
                     .rollbacks = rollbacks_,
                     .exchanges = link_counts_.exchanges,
                     .lost = link_counts_.lost,
                     .truncated = link_counts_.truncated,
                     .corrupted = link_counts_.corrupted,
                     .bytes = link_counts_.bytes};
  for (const auto& member : members_) {
    const StationView view = member->station->view();
    counts.with_model += member->station->agent().model() ? 1 : 0;
    counts.lost_their_model += member->lost_model ? 1 : 0;
    ++counts.versions[view.update.release ? view.update.release->name + " " + view.update.release->version : "none"];
    ++counts.conditions[std::string(to_string(view.condition))];
    if (member->station->agent().model()) continue;
    std::string& why = counts.without_model[member->settings.id];
    for (const std::string& reason : view.reasons) why += (why.empty() ? "" : "; ") + reason;
  }
  return counts;
}

nlohmann::ordered_json to_json(const FleetCounts& counts) {
  return {{"time", zonda::to_string(counts.time)},
          {"stations", counts.stations},
          {"with_model", counts.with_model},
          {"lost_their_model", counts.lost_their_model},
          {"versions", counts.versions},
          {"conditions", counts.conditions},
          {"without_model", counts.without_model},
          {"restarts", counts.restarts},
          {"clock_jumps", counts.clock_jumps},
          {"rollbacks", counts.rollbacks},
          {"link",
           {{"exchanges", counts.exchanges},
            {"lost", counts.lost},
            {"truncated", counts.truncated},
            {"corrupted", counts.corrupted},
            {"bytes", counts.bytes}}}};
}

std::string fleet_report(const std::string& title, const std::vector<FleetCounts>& history) {
  std::string page = fmt::format(
      "<!doctype html><meta charset=\"utf-8\"><title>{0}</title><style>body{{font:16px sans-serif;margin:2em}}"
      "td,th{{padding:.2em .8em;text-align:right;border-bottom:1px solid #ccc}}</style><h1>{0}</h1><table><tr>"
      "<th>time<th>with a model<th>lost their model<th>versions<th>rollbacks<th>restarts<th>clock jumps<th>exchanges"
      "<th>lost<th>broken off<th>corrupted</tr>\n",
      title);
  for (const FleetCounts& counts : history) {
    std::string versions;
    for (const auto& [version, stations] : counts.versions) versions += fmt::format("{}: {}<br>", version, stations);
    page += fmt::format("<tr><td>{}<td>{} of {}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>\n",
                        zonda::to_string(counts.time), counts.with_model, counts.stations, counts.lost_their_model,
                        versions, counts.rollbacks, counts.restarts, counts.clock_jumps, counts.exchanges, counts.lost,
                        counts.truncated, counts.corrupted);
  }
  return page + "</table>\n";
}

}  // namespace zonda::edge
