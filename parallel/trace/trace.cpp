#include "parallel/trace/trace.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "parallel/observer.hpp"

namespace zonda::parallel {
namespace {

struct Interval {
  double start, end;
};

/// The same times, in order and without overlaps.
std::vector<Interval> merged(std::vector<Interval> intervals) {
  std::sort(intervals.begin(), intervals.end(), [](Interval a, Interval b) { return a.start < b.start; });
  std::vector<Interval> result;
  for (const Interval interval : intervals) {
    if (!result.empty() && interval.start <= result.back().end)
      result.back().end = std::max(result.back().end, interval.end);
    else
      result.push_back(interval);
  }
  return result;
}

struct Streams {
  std::vector<Interval> communication, computation;
};

Streams by_stream(const std::vector<Span>& spans) {
  Streams streams;
  for (const Span& span : spans)
    (span.stream == communication_stream ? streams.communication : streams.computation)
        .push_back({span.start, span.end});
  return {merged(std::move(streams.communication)), merged(std::move(streams.computation))};
}

double length(const std::vector<Interval>& intervals) {
  double sum = 0;
  for (const Interval interval : intervals) sum += interval.end - interval.start;
  return sum;
}

class Tracer : public Observer {
 public:
  explicit Tracer(std::shared_ptr<Trace> trace) : trace_(std::move(trace)) {}

  std::uint64_t begin(const Call& call) override {
    const std::scoped_lock lock(mutex_);
    const Span span{call.operation.name, std::string(communication_stream), trace_->now(), 0, call.operation.bytes};
    under_way_.emplace(next_, span);
    return next_++;
  }
  void end(std::uint64_t id) override {
    const double now = trace_->now();
    std::unique_lock lock(mutex_);
    auto node = under_way_.extract(id);
    lock.unlock();
    node.mapped().end = now;
    trace_->add(std::move(node.mapped()));
  }

 private:
  std::shared_ptr<Trace> trace_;
  std::mutex mutex_;
  std::map<std::uint64_t, Span> under_way_;
  std::uint64_t next_ = 0;
};

}  // namespace

double exposed_communication(const std::vector<Span>& spans) {
  const auto [communication, computation] = by_stream(spans);
  double hidden = 0;
  auto work = computation.begin();
  for (const Interval transfer : communication) {
    while (work != computation.end() && work->end <= transfer.start) ++work;
    for (auto w = work; w != computation.end() && w->start < transfer.end; ++w)
      hidden += std::min(w->end, transfer.end) - std::max(w->start, transfer.start);
  }
  return length(communication) - hidden;
}

double communication_time(const std::vector<Span>& spans) {
  return length(by_stream(spans).communication);
}

double Trace::now() const {
  return std::chrono::duration<double>(clock::now() - begin_).count();
}

void Trace::add(Span span) {
  const std::scoped_lock lock(mutex_);
  spans_.push_back(std::move(span));
}

std::vector<Span> Trace::spans() const {
  const std::scoped_lock lock(mutex_);
  return spans_;
}

std::string Trace::json(int rank) const {
  using nlohmann::json;
  json events = json::array();
  events.push_back(
      {{"name", "process_name"}, {"ph", "M"}, {"pid", rank}, {"args", {{"name", fmt::format("rank {}", rank)}}}});
  std::map<std::string, int> threads;
  for (const Span& span : spans()) {
    const auto [thread, added] = threads.emplace(span.stream, static_cast<int>(threads.size()));
    if (added)
      events.push_back({{"name", "thread_name"},
                        {"ph", "M"},
                        {"pid", rank},
                        {"tid", thread->second},
                        {"args", {{"name", span.stream}}}});
    events.push_back({{"name", span.name},
                      {"ph", "X"},
                      {"pid", rank},
                      {"tid", thread->second},
                      {"ts", span.start * 1e6},
                      {"dur", (span.end - span.start) * 1e6},
                      {"args", {{"bytes", span.bytes}}}});
  }
  return json{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}}.dump();
}

void Trace::write(const std::filesystem::path& path, int rank) const {
  write_file(path, json(rank));
}

Trace::Scope::Scope(Trace& trace, std::string name, std::string stream, std::uint64_t bytes)
    : trace_(trace), span_{std::move(name), std::move(stream), trace.now(), 0, bytes} {}

Trace::Scope::~Scope() {
  span_.end = trace_.now();
  trace_.add(std::move(span_));
}

Communicator traced(const Communicator& communicator, std::shared_ptr<Trace> trace) {
  return observed(communicator, std::make_shared<Tracer>(std::move(trace)));
}

}  // namespace zonda::parallel
