#include "parallel/communication_stream.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

namespace zonda::parallel {

struct CommunicationStream::Shared {
  std::mutex mutex;
  std::condition_variable given, finished;
  std::deque<std::function<void()>> works;
  std::uint64_t last = 0, done = 0;  // given so far, and run
  std::exception_ptr error;
  std::uint64_t failed_at = 0;  // the first that threw
  bool closing = false;
  std::thread thread;

  void serve() {
    std::unique_lock lock(mutex);
    while (true) {
      given.wait(lock, [&] { return closing || !works.empty(); });
      if (works.empty()) return;
      const std::function<void()> work = std::move(works.front());
      works.pop_front();
      const bool failed = error != nullptr;
      lock.unlock();
      std::exception_ptr caught;
      if (!failed) try {
          work();
        } catch (...) {
          caught = std::current_exception();
        }
      lock.lock();
      ++done;
      if (caught) {
        error = caught;
        failed_at = done;
      }
      finished.notify_all();
    }
  }

  bool over(std::uint64_t number, bool block) {
    std::unique_lock lock(mutex);
    // Bounded: the thread that waits may have other operations to carry on.
    if (done < number && block) finished.wait_for(lock, std::chrono::milliseconds(5));
    if (done < number) return false;
    if (error && number >= failed_at) std::rethrow_exception(error);
    return true;
  }
};

CommunicationStream::CommunicationStream() : shared_(std::make_shared<Shared>()) {}

CommunicationStream::~CommunicationStream() {
  {
    const std::scoped_lock lock(shared_->mutex);
    shared_->closing = true;
    shared_->given.notify_one();
  }
  if (shared_->thread.joinable()) shared_->thread.join();
}

Event CommunicationStream::run(std::function<void()> work) {
  const std::scoped_lock lock(shared_->mutex);
  shared_->works.push_back(std::move(work));
  if (!shared_->thread.joinable()) shared_->thread = std::thread([shared = shared_] { shared->serve(); });
  shared_->given.notify_one();
  return Event([shared = shared_, number = ++shared_->last](bool block) { return shared->over(number, block); });
}

}  // namespace zonda::parallel
