#include "parallel/faults/watchdog.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/error.hpp"

namespace zonda::parallel {
namespace {

std::string name(const Record& record) {
  if (record.sequence == 0) return fmt::format("{} ({} bytes, rank {})", record.operation, record.bytes, record.root);
  return fmt::format("{} (number {} of {}, {} bytes)", record.operation, record.sequence, record.group, record.bytes);
}

/// What a rank is at, or was at last.
std::string doing(const RankStatus& status) {
  const auto& records = status.flight.records;
  const auto open = std::find_if(records.begin(), records.end(), [](const Record& r) { return !r.ended; });
  if (open != records.end()) return fmt::format("it is in {} since {:.1f} s", name(*open), open->started + status.age);
  if (records.empty()) return "it has called nothing yet";
  return fmt::format("its last call, {}, ended {:.1f} s ago", name(records.back()), *records.back().ended + status.age);
}

}  // namespace

std::string explain(int rank, const Record& stuck, const std::vector<std::optional<RankStatus>>& statuses,
                    double silence) {
  std::vector<std::string> causes;
  for (std::size_t m = 0; m < stuck.members.size(); ++m) {
    const int member = stuck.members[m];
    if (member == rank) continue;
    // A message waits for its peer alone.
    if (stuck.sequence == 0 && stuck.root != static_cast<std::int64_t>(m)) continue;
    const auto& status = statuses[static_cast<std::size_t>(member)];
    if (!status) {
      causes.push_back(fmt::format("rank {} has never been heard of", member));
      continue;
    }
    if (status->age > silence) {
      causes.push_back(
          fmt::format("rank {} is silent since {:.1f} s: dead or cut off; {}", member, status->age, doing(*status)));
      continue;
    }
    if (stuck.sequence == 0) {
      causes.push_back(fmt::format("rank {} did not do its part; {}", member, doing(*status)));
      continue;
    }
    const auto entered = status->flight.entered.find(stuck.group);
    if (entered == status->flight.entered.end() || entered->second < stuck.sequence) {
      causes.push_back(fmt::format("rank {} has not entered it; {}", member, doing(*status)));
      continue;
    }
    for (const Record& theirs : status->flight.records)
      if (theirs.group == stuck.group && theirs.sequence == stuck.sequence && theirs.signature != stuck.signature)
        causes.push_back(fmt::format("rank {} is in {} instead", member, name(theirs)));
  }
  if (causes.empty()) causes.emplace_back("all its ranks have entered it: the network holds a message back");
  return fmt::format("rank {} waits since {:.1f} s in {}: {}", rank, stuck.started, name(stuck),
                     fmt::join(causes, "; "));
}

std::string dump(const std::vector<std::optional<RankStatus>>& statuses) {
  std::string text = "rank  group      number  operation           bytes        started    ended (s before now)\n";
  for (std::size_t rank = 0; rank < statuses.size(); ++rank) {
    if (!statuses[rank]) {
      text += fmt::format("{:4}  never heard of\n", rank);
      continue;
    }
    const auto& [flight, age] = *statuses[rank];
    for (const Record& r : flight.records)
      text += fmt::format("{:4}  {:9}  {:6}  {:17}  {:10}  {:9.3f}  {}\n", rank, r.group, r.sequence, r.operation,
                          r.bytes, r.started + age, r.ended ? fmt::format("{:.3f}", *r.ended + age) : "under way");
  }
  return text;
}

Watchdog::Watchdog(int rank, std::shared_ptr<FlightRecorder> recorder, std::shared_ptr<StatusBoard> board,
                   double deadline, std::function<void(const std::string&, const std::string&)> end_job)
    : rank_(rank),
      recorder_(std::move(recorder)),
      board_(std::move(board)),
      deadline_(deadline),
      interval_(std::clamp(deadline / 8, 0.02, 5.0)),
      end_job_(std::move(end_job)),
      thread_([this] { run(); }) {}

Watchdog::~Watchdog() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

bool Watchdog::pause(double seconds) {
  std::unique_lock lock(mutex_);
  return !stop_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return stopping_; });
}

bool Watchdog::publish() {
  try {
    board_->publish(rank_, recorder_->flight().text());
    return true;
  } catch (const Error&) {
    return false;  // of weight only when a call does not end
  }
}

void Watchdog::run() {
  // Judged at three quarters, so that a job has ended by its deadline.
  do {
    publish();
    const std::optional<Record> oldest = recorder_->oldest_under_way();
    if (!oldest || oldest->started < 0.75 * deadline_) continue;
    report(*oldest);
    return;
  } while (pause(interval_));
}

void Watchdog::report(const Record& stuck) {
  std::vector<std::optional<RankStatus>> statuses;
  try {
    for (const auto& entry : board_->read()) {
      statuses.emplace_back();
      if (entry) statuses.back() = RankStatus{parse_flight(entry->status), entry->age};
    }
    if (!board_->claim()) {
      // Another rank speaks, and ends the job; if it dies over that, this one does.
      if (pause(deadline_ / 4)) end_job_("", "");
      return;
    }
  } catch (const Error& error) {
    const std::string calls = dump({RankStatus{recorder_->flight(), 0}});
    end_job_(fmt::format("rank {} waits since {:.1f} s in {}: rank 0 is dead or cut off ({})", rank_, stuck.started,
                         name(stuck), error.what()),
             calls);
    return;
  }
  end_job_(explain(rank_, stuck, statuses, std::max(4 * interval_, deadline_ / 4)), dump(statuses));
}

}  // namespace zonda::parallel
