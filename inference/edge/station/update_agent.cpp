#include "inference/edge/station/update_agent.hpp"

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;

UpdateAgent::UpdateAgent(fs::path root, std::string station, DownloadPolicy policy, Parts parts)
    : root_(std::move(root)),
      parts_(std::move(parts)),
      store_(root_ / "content"),
      slots_(root_ / "models"),
      journal_(root_ / "journal"),
      downloader_(parts_.transport, store_, parts_.clock, std::move(policy), std::move(station)) {
  read_rejected();
}

void UpdateAgent::beat() const {
  if (parts_.heartbeat) parts_.heartbeat();
}

void UpdateAgent::advance(UpdateEvent event) {
  const auto to = next_state(summary_.state, event);
  if (!to)
    fail(ErrorKind::failure, "update: '{}' means nothing in the state '{}'", to_string(event),
         to_string(summary_.state));
  const bool asks =
      event == UpdateEvent::poll_due || event == UpdateEvent::nothing_new || event == UpdateEvent::unreachable;
  if (!asks) {
    nlohmann::json record{{"time", zonda::to_string(now_)},
                          {"from", to_string(summary_.state)},
                          {"event", to_string(event)},
                          {"to", to_string(*to)}};
    if (wanted_) record["release"] = wanted_->name + " " + wanted_->version;
    if (!summary_.problem.empty()) record["problem"] = summary_.problem;
    journal_.append(record);
    log::info("update: {} -> {} ({}{}{})", to_string(summary_.state), to_string(*to), to_string(event),
              wanted_ ? ": " + wanted_->name + " " + wanted_->version : "",
              summary_.problem.empty() ? "" : "; " + summary_.problem);
  }
  summary_.state = *to;
  beat();
}

std::shared_ptr<ModelRunner> UpdateAgent::open_and_test(Slot slot) {
  const Steady begin = parts_.clock.steady();
  auto model = parts_.open(slots_.path(slot));
  const Steady opened = parts_.clock.steady();
  beat();
  model->self_test();
  beat();
  summary_.opening_seconds = (opened - begin).count();
  summary_.testing_seconds = (parts_.clock.steady() - opened).count();
  log::info("the model of slot {} was opened in {:.1f} ms and passed its self-test in {:.1f} ms", to_string(slot),
            1e3 * summary_.opening_seconds, 1e3 * summary_.testing_seconds);
  return model;
}

bool UpdateAgent::open_slot(Slot slot) {
  const auto release = slots_.release(slot);
  if (!release) return false;
  try {
    model_ = open_and_test(slot);
    summary_.release = release;
    summary_.slot = slot;
    return true;
  } catch (const std::exception& error) {
    log::error("the model {} {} of slot {} cannot be used: {}", release->name, release->version, to_string(slot),
               error.what());
    summary_.problem = error.what();
    return false;
  }
}

void UpdateAgent::recover() {
  const std::string last = journal_.last() ? journal_.last()->value("to", "idle") : "idle";
  if (last != to_string(UpdateState::idle) && last != to_string(UpdateState::serving))
    log::info("an update was broken off while {}; what was fetched is kept", last);
  const auto serving = slots_.serving();
  if (serving && open_slot(*serving)) {
    summary_.on_trial = last == to_string(UpdateState::serving);
    return;
  }
  const Slot second = serving ? other(*serving) : Slot::a;
  for (const Slot slot : {second, other(second)}) {
    if (slot == serving || !open_slot(slot)) continue;
    slots_.serve(slot);
    ++summary_.rollbacks;
    if (serving) reject(*slots_.release(*serving), summary_.problem);
    log::warning("slot {} serves now", to_string(slot));
    return;
  }
  log::warning("no model is here yet");
}

void UpdateAgent::poll(Time now) {
  now_ = now;
  if (summary_.state == UpdateState::serving) advance(UpdateEvent::proved);  // no feed came to try it on
  advance(UpdateEvent::poll_due);
  while (summary_.state != UpdateState::idle && summary_.state != UpdateState::serving) advance(act());
}

UpdateEvent UpdateAgent::act() {
  switch (summary_.state) {
    case UpdateState::polling:
      return ask();
    case UpdateState::downloading:
      return download();
    case UpdateState::verifying:
      return verify();
    case UpdateState::self_testing:
      return self_test();
    case UpdateState::swapping:
      return swap();
    case UpdateState::rolled_back:
      return settle();
    case UpdateState::idle:
    case UpdateState::serving:
      break;
  }
  fail(ErrorKind::failure, "update: nothing to do in the state '{}'", to_string(summary_.state));
}

UpdateEvent UpdateAgent::ask() {
  wanted_.reset();
  try {
    assignment_ = parts_.hub.poll(now_);
  } catch (const Error& error) {
    summary_.hub_reached = false;
    if (summary_.problem != error.what()) log::warning("{}", error.what());
    summary_.problem = error.what();
    return UpdateEvent::unreachable;
  }
  summary_.hub_reached = true;
  summary_.metadata_expired = assignment_.expired;
  if (!assignment_.model) return UpdateEvent::nothing_new;
  const std::string identity = assignment_.model->identity();
  if (summary_.release && model_ && summary_.release->identity() == identity) {
    summary_.problem.clear();
    return UpdateEvent::nothing_new;
  }
  if (model_ && summary_.rejected.contains(identity)) return UpdateEvent::nothing_new;
  summary_.problem.clear();
  wanted_ = assignment_.model;
  return UpdateEvent::release_found;
}

UpdateEvent UpdateAgent::download() {
  try {
    std::vector<Content> contents;
    for (const Release::File& file : wanted_->files) contents.push_back(file.content);
    try {
      downloader_.require_room(contents);
    } catch (const Error&) {
      log::info("{:.1f} MB of unused content removed to make room",
                1e-6 * static_cast<double>(store_.collect_garbage(referenced())));
      downloader_.require_room(contents);
    }
    parts_.hub.fetch_cheaply(*wanted_, summary_.release, store_);
    for (const Content& content : contents)
      downloader_.fetch(
          content, [this](std::uint64_t, std::uint64_t) { beat(); }, parts_.cancelled);
    return UpdateEvent::fetched;
  } catch (const Error& error) {
    summary_.problem = error.what();
    return UpdateEvent::not_fetched;
  }
}

UpdateEvent UpdateAgent::verify() {
  for (const Release::File& file : wanted_->files) {
    beat();
    if (!store_.verify(file.content.sha256)) {
      summary_.problem = fmt::format("{}: damaged on disk", file.name);
      return UpdateEvent::damaged;
    }
  }
  try {
    slots_.fill(slots_.spare(), *wanted_, store_);
    if (parts_.prepare) parts_.prepare(slots_.path(slots_.spare()));
    return UpdateEvent::verified;
  } catch (const Error& error) {
    summary_.problem = error.what();
    return UpdateEvent::damaged;
  }
}

UpdateEvent UpdateAgent::self_test() {
  try {
    candidate_ = open_and_test(slots_.spare());
    return UpdateEvent::test_passed;
  } catch (const std::exception& error) {
    summary_.problem = fmt::format("{} {}: {}", wanted_->name, wanted_->version, error.what());
    return UpdateEvent::test_failed;
  }
}

UpdateEvent UpdateAgent::swap() {
  const Slot slot = slots_.spare();
  try {
    slots_.serve(slot);
  } catch (const Error& error) {
    summary_.problem = error.what();
    return UpdateEvent::not_swapped;
  }
  model_ = std::move(candidate_);
  summary_.release = wanted_;
  summary_.slot = slot;
  summary_.on_trial = true;
  return UpdateEvent::swapped;
}

UpdateEvent UpdateAgent::settle() {
  candidate_.reset();
  ++summary_.rollbacks;
  if (!trial_failed_) {  // the new one never served
    if (wanted_) reject(*wanted_, summary_.problem);
    slots_.empty(slots_.spare());
    return UpdateEvent::settled;
  }
  trial_failed_ = false;
  const Slot refused = *summary_.slot;
  summary_.on_trial = false;
  const Release release = *summary_.release;
  const std::string problem = summary_.problem;
  if (open_slot(other(refused))) {
    slots_.serve(other(refused));
    reject(release, problem);
    summary_.problem = problem;
  } else {
    // Nothing better is here: it passed its self-test, and some model serves rather than none.
    log::warning("no model before it is left; {} {} goes on", release.name, release.version);
  }
  return UpdateEvent::settled;
}

void UpdateAgent::judge_trial(bool good, const std::string& reason, Time now) {
  now_ = now;
  if (!summary_.on_trial) return;
  if (good) {
    summary_.on_trial = false;
    summary_.failed.reset();
    if (summary_.state == UpdateState::serving) advance(UpdateEvent::proved);
    store_.collect_garbage(referenced());
    return;
  }
  wanted_ = summary_.release;
  summary_.problem = reason;
  trial_failed_ = true;
  advance(UpdateEvent::trial_failed);
  advance(settle());
}

std::set<std::string> UpdateAgent::referenced() const {
  std::set<std::string> hashes;
  const auto add = [&hashes](const std::optional<Release>& release) {
    if (!release) return;
    for (const Release::File& file : release->files) hashes.insert(file.content.sha256);
  };
  add(slots_.release(Slot::a));
  add(slots_.release(Slot::b));
  add(wanted_);
  add(assignment_.model);
  if (assignment_.feed) hashes.insert(assignment_.feed->content.sha256);
  return hashes;
}

void UpdateAgent::read_rejected() {
  const fs::path file = root_ / "rejected.json";
  if (!fs::exists(file)) return;
  try {
    for (const auto& entry : nlohmann::json::parse(read_file(file))) summary_.rejected.insert(entry.at("identity"));
  } catch (const std::exception& damage) {
    log::warning("{}: cannot be read ({}); releases that failed here may be tried again", file.string(), damage.what());
  }
}

void UpdateAgent::reject(const Release& release, const std::string& reason) {
  const fs::path file = root_ / "rejected.json";
  nlohmann::json list = nlohmann::json::array();
  try {
    if (fs::exists(file)) list = nlohmann::json::parse(read_file(file));
  } catch (const std::exception&) {
    list = nlohmann::json::array();
  }
  if (list.size() >= 64) list.erase(list.begin());
  list.push_back({{"identity", release.identity()},
                  {"name", release.name},
                  {"version", release.version},
                  {"reason", reason},
                  {"time", zonda::to_string(now_)}});
  write_file(file, list.dump(2) + "\n");
  summary_.rejected.insert(release.identity());
  summary_.failed = release;
  summary_.failed_reason = reason;
}

}  // namespace zonda::edge
