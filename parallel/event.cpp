#include <time.h>

#include <chrono>
#include <exception>
#include <mutex>

#include "parallel/transport.hpp"

namespace zonda::parallel {
namespace {

struct Continuation {
  std::mutex mutex;
  std::function<bool(bool)> step;  // empty once over
  std::exception_ptr error;        // kept for the one who waits for it

  bool poll(bool block) {
    const std::unique_lock lock(mutex, std::try_to_lock);
    if (!lock) return false;  // another thread is at it
    if (error) std::rethrow_exception(error);
    if (!step) return true;
    try {
      if (!step(block)) return false;
    } catch (...) {
      error = std::current_exception();
      throw;
    }
    step = nullptr;
    return true;
  }

  bool over() {
    try {
      return poll(false);
    } catch (...) {
      return true;
    }
  }
};

thread_local std::vector<std::weak_ptr<Continuation>> continuations;
thread_local double waited = 0, processor_waited = 0;

double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void advance_continuations() {
  std::erase_if(continuations, [](const std::weak_ptr<Continuation>& weak) {
    const auto continuation = weak.lock();
    return !continuation || continuation->over();
  });
}

}  // namespace

bool Event::poll(bool block) {
  if (!poll_) return true;
  if (!poll_(block)) return false;
  poll_ = nullptr;
  return true;
}

bool Event::test() {
  advance_continuations();
  return poll(false);
}

void Event::wait() {
  if (poll(false)) return;
  const auto begin = std::chrono::steady_clock::now();
  const double processor_begin = processor_seconds();
  while (!poll(true)) advance_continuations();
  processor_waited += processor_seconds() - processor_begin;
  waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double seconds_waited() {
  return waited;
}

double processor_seconds_worked() {
  return processor_seconds() - processor_waited;
}

Event when_all(std::vector<Event> events, std::function<void()> then) {
  auto state =
      std::make_shared<std::pair<std::vector<Event>, std::function<void()>>>(std::move(events), std::move(then));
  return Event([state](bool block) {
    auto& [pending, last] = *state;
    std::erase_if(pending, [](Event& event) { return event.poll(false); });
    if (block && !pending.empty() && pending.front().poll(true)) pending.erase(pending.begin());
    if (!pending.empty()) return false;
    if (last) std::exchange(last, nullptr)();
    return true;
  });
}

Event continued(std::function<bool(bool)> step) {
  auto continuation = std::make_shared<Continuation>();
  continuation->step = std::move(step);
  continuations.push_back(continuation);
  return Event([continuation](bool block) { return continuation->poll(block); });
}

}  // namespace zonda::parallel
