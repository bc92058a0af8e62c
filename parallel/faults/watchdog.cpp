#include "parallel/faults/watchdog.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/signals.hpp"

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

namespace {

std::vector<std::optional<RankStatus>> read_statuses(StatusBoard& board) {
  std::vector<std::optional<RankStatus>> statuses;
  for (const auto& entry : board.read()) {
    statuses.emplace_back();
    if (entry) statuses.back() = RankStatus{parse_flight(entry->status), entry->age};
  }
  return statuses;
}

double interval_of(double deadline) {
  return std::clamp(deadline / 8, 0.02, 5.0);
}
double silence_of(double deadline) {
  return std::max(4 * interval_of(deadline), deadline / 4);
}

/// Rank 0 keeps the board.
std::string without_board(int rank, const Record& stuck, const Error& error) {
  return fmt::format("rank {} waits since {:.1f} s in {}: rank 0 is dead or cut off ({})", rank, stuck.started,
                     name(stuck), error.what());
}

}  // namespace

std::string explain_failure(int rank, const FlightRecorder& recorder, std::uint64_t id, StatusBoard& board,
                            double deadline) {
  const std::optional<Record> failed = recorder.find(id);
  if (!failed) return "";
  try {
    board.publish(rank, recorder.flight().text());
    std::this_thread::sleep_for(std::chrono::duration<double>(1.5 * interval_of(deadline)));
    return explain(rank, *failed, read_statuses(board), silence_of(deadline));
  } catch (const Error& error) {
    return without_board(rank, *failed, error);
  }
}

Watchdog::Watchdog(int rank, std::shared_ptr<FlightRecorder> recorder, std::shared_ptr<StatusBoard> board,
                   double deadline, std::function<void(const std::string&, const std::string&)> end_job)
    : rank_(rank),
      recorder_(std::move(recorder)),
      board_(std::move(board)),
      deadline_(deadline),
      interval_(interval_of(deadline)),
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

void Watchdog::publish() {
  try {
    board_->publish(rank_, recorder_->flight().text());
  } catch (const Error&) {  // of weight only when a call does not end
  }
}

void Watchdog::run() {
  using clock = std::chrono::steady_clock;
  const double tick = std::min(interval_, 0.05);
  auto published = clock::now() - std::chrono::hours(1);
  bool told_of_stop = false;
  do {
    const std::optional<Record> oldest = recorder_->oldest_under_way();
    // Judged at three quarters, so that a job has ended by its deadline.
    if (oldest && oldest->started >= 0.75 * deadline_) {
      publish();
      report(*oldest);
      return;
    }
    if (!told_of_stop && stop_requested()) {
      told_of_stop = true;
      report_stop();
    }
    if (clock::now() - published < std::chrono::duration<double>(interval_)) continue;
    publish();
    published = clock::now();
  } while (pause(tick));
}

void Watchdog::report(const Record& stuck) {
  try {
    const auto statuses = read_statuses(*board_);
    if (board_->claim("deadline")) {
      end_job_(explain(rank_, stuck, statuses, silence_of(deadline_)), dump(statuses));
      return;
    }
  } catch (const Error& error) {
    end_job_(without_board(rank_, stuck, error), dump({RankStatus{recorder_->flight(), 0}}));
    return;
  }
  // Another rank speaks, and ends the job; if it dies over that, this one does.
  if (pause(deadline_ / 4)) end_job_("", "");
}

void Watchdog::report_stop() {
  const std::optional<Record> before = recorder_->oldest_under_way();
  publish();
  if (!before || !pause(0.3)) return;
  const std::optional<Record> now = recorder_->oldest_under_way();
  if (!now || now->group != before->group || now->sequence != before->sequence || now->started < 0.3) return;
  std::string explanation;
  try {
    if (!board_->claim("stop")) return;
    explanation = explain(rank_, *now, read_statuses(*board_), silence_of(deadline_));
  } catch (const Error& error) {
    explanation = without_board(rank_, *now, error);
  }
  log::error("asked to stop, but {}", explanation);
}

}  // namespace zonda::parallel
