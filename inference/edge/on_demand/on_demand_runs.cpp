#include "inference/edge/on_demand/on_demand_runs.hpp"

#include <algorithm>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "core/error.hpp"

namespace zonda::edge {
namespace {

constexpr std::array classes{RequestClass::instant, RequestClass::interactive, RequestClass::prompt,
                             RequestClass::batch};
constexpr std::chrono::minutes batch_patience{10};

}  // namespace

std::string_view name_of(RequestClass request_class) {
  constexpr std::array<std::string_view, 4> words{"instant", "interactive", "prompt", "batch"};
  return words[static_cast<std::size_t>(request_class)];
}

std::optional<RequestClass> parse_request_class(std::string_view word) {
  for (const RequestClass each : classes)
    if (name_of(each) == word) return each;
  return std::nullopt;
}

struct OnDemandRuns::Parts {
  struct Question {
    RequestClass request_class;
    int member;
    Clock::time_point asked, deadline;
    std::promise<DemandedRun> answer;
  };

  Parts(int coarsest_level, std::size_t most) : coarsest(coarsest_level), most_waiting(most) {}

  /// What is known of the costs of the same model stays known.
  DeadlineQueue queue_for(const DemandedModel& served) const {
    const bool same = queue && model->identity == served.identity;
    DeadlineQueue fresh(same ? queue->costs() : LevelCosts(served.costs),
                        std::min(coarsest, static_cast<int>(served.costs.size()) - 1));
    for (const auto& [id, question] : questions)
      if (id != running) fresh.push({id, question.deadline});
    return fresh;
  }
  DemandCounts::Class& counts_of(const Question& question) {
    return counts.classes[static_cast<std::size_t>(question.request_class)];
  }
  /// Takes the question out; the caller holds the lock.
  void settle(std::uint64_t id, DemandedRun run) {
    Question& question = questions.at(id);
    const auto now = Clock::now();
    run.seconds = std::chrono::duration<double>(now - question.asked).count();
    run.in_time = run.forecast && now <= question.deadline;
    DemandCounts::Class& count = counts_of(question);
    ++(!run.forecast ? count.refused : run.in_time ? count.in_time : count.late);
    if (run.forecast)
      ++count.levels[std::min(static_cast<std::size_t>(run.forecast->level), DemandCounts::most_levels - 1)];
    question.answer.set_value(std::move(run));
    questions.erase(id);
  }
  void work();

  const int coarsest;
  const std::size_t most_waiting;
  mutable std::mutex mutex;
  std::condition_variable ready;
  std::shared_ptr<const DemandedModel> model;
  std::optional<DeadlineQueue> queue;
  std::map<std::uint64_t, Question> questions;  // that wait, and the one that is being answered
  std::uint64_t next_id = 0;
  std::optional<std::uint64_t> running;
  bool closed = false;
  DemandCounts counts;
  std::thread worker;
};

void OnDemandRuns::Parts::work() {
  std::unique_lock lock(mutex);
  while (true) {
    ready.wait(lock, [this] { return closed || (queue && !queue->empty()); });
    if (closed) return;
    const DeadlineQueue::Choice choice = queue->take(Clock::now());
    const std::uint64_t id = choice.request.id;
    if (!choice.level) {
      settle(id, {.forecast = nullptr, .problem = "no token level is in time"});
      continue;
    }
    const std::shared_ptr<const DemandedModel> with = model;
    const int member = questions.at(id).member;
    DemandedRun run;
    const auto begin = Clock::now();
    running = id;
    lock.unlock();
    try {
      run.forecast = std::make_shared<const RegionalForecast>(with->run(*choice.level, member));
    } catch (const Error& error) {
      run.problem = error.what();
    }
    const LevelCosts::Seconds taken = Clock::now() - begin;
    lock.lock();
    if (run.forecast && with == model) queue->done(*choice.level, taken);
    running.reset();
    settle(id, std::move(run));
  }
}

OnDemandRuns::OnDemandRuns(int coarsest, std::size_t most_waiting)
    : parts_(std::make_unique<Parts>(coarsest, most_waiting)) {
  parts_->worker = std::thread([parts = parts_.get()] { parts->work(); });
}

OnDemandRuns::~OnDemandRuns() {
  {
    const std::lock_guard lock(parts_->mutex);
    parts_->closed = true;
  }
  parts_->ready.notify_all();
  parts_->worker.join();
  for (auto& [id, question] : parts_->questions)
    question.answer.set_value({.forecast = nullptr, .problem = "the station stops"});
}

void OnDemandRuns::serve(std::shared_ptr<const DemandedModel> model) {
  Parts& parts = *parts_;
  const std::lock_guard lock(parts.mutex);
  std::optional<DeadlineQueue> fresh;
  if (model && !model->costs.empty()) fresh.emplace(parts.queue_for(*model));
  parts.model = std::move(model);
  parts.queue = std::move(fresh);
  while (!parts.queue) {
    const auto waiting = std::find_if(parts.questions.begin(), parts.questions.end(),
                                      [&parts](const auto& each) { return each.first != parts.running; });
    if (waiting == parts.questions.end()) break;
    parts.settle(waiting->first, {.forecast = nullptr, .problem = "the model was taken away"});
  }
  parts.ready.notify_all();
}

DemandedRun OnDemandRuns::ask(RequestClass request_class, int member) {
  Parts& parts = *parts_;
  std::unique_lock lock(parts.mutex);
  Parts::Question question{request_class, member, Clock::now(), {}, {}};
  question.deadline = question.asked + allowance(request_class).value_or(batch_patience);
  const auto at_once = [&](std::shared_ptr<const RegionalForecast> forecast, const char* problem) {
    const std::uint64_t id = parts.next_id++;
    std::future<DemandedRun> answer = question.answer.get_future();
    parts.questions.emplace(id, std::move(question));
    parts.settle(id, {.forecast = std::move(forecast), .problem = problem});
    return answer.get();
  };
  if (!parts.queue) return at_once(nullptr, "no model and feed are here to run");
  if (parts.model->last && (request_class == RequestClass::instant || member == 0))
    return at_once(parts.model->last, "");
  if (parts.questions.size() >= parts.most_waiting) return at_once(nullptr, "too many runs wait already");
  const std::uint64_t id = parts.next_id++;
  std::future<DemandedRun> answer = question.answer.get_future();
  parts.queue->push({id, question.deadline});
  parts.questions.emplace(id, std::move(question));
  lock.unlock();
  parts.ready.notify_one();
  return answer.get();
}

DemandCounts OnDemandRuns::counts() const {
  const std::lock_guard lock(parts_->mutex);
  DemandCounts counts = parts_->counts;
  counts.waiting = parts_->questions.size();
  return counts;
}

}  // namespace zonda::edge
