#pragma once
// Workers with memory of their own, one for each thread that works at the same time, made when they are first needed.
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace zonda::assimilation {

template <class Worker>
class IdleWorkers {
 public:
  explicit IdleWorkers(std::function<std::unique_ptr<Worker>()> make) : make_(std::move(make)) {}

  /// One that nobody else has; it comes back when the lease ends.
  class Lease {
   public:
    explicit Lease(IdleWorkers& from) : from_(from), worker_(from.take()) {}
    ~Lease() {
      const std::lock_guard lock(from_.mutex_);
      from_.idle_.push_back(std::move(worker_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Worker* operator->() { return worker_.get(); }
    Worker& operator*() { return *worker_; }

   private:
    IdleWorkers& from_;
    std::unique_ptr<Worker> worker_;
  };
  Lease lease() { return Lease(*this); }

 private:
  std::unique_ptr<Worker> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        std::unique_ptr<Worker> worker = std::move(idle_.back());
        idle_.pop_back();
        return worker;
      }
    }
    return make_();
  }
  std::function<std::unique_ptr<Worker>()> make_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> idle_;
};

}  // namespace zonda::assimilation
