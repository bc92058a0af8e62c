#include "parallel/observer.hpp"

#include <fmt/format.h>

#include <atomic>
#include <numeric>

#include "core/error.hpp"
#include "parallel/forwarding_transport.hpp"

namespace zonda::parallel {
namespace {

/// Ends the call when its event is over, or thrown away.
class Ending {
 public:
  Ending(std::shared_ptr<Observer> observer, std::uint64_t id) : observer_(std::move(observer)), id_(id) {}
  ~Ending() { observer_->end(id_); }
  /// Runs a step of the call; an error gets its explanation.
  template <class Step>
  auto run(Step step) const {
    try {
      return step();
    } catch (const Error& error) {
      const std::string explanation = observer_->explain(id_);
      if (explanation.empty()) throw;
      throw Error(error.kind(), fmt::format("{}; {}", error.what(), explanation));
    }
  }
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

 private:
  std::shared_ptr<Observer> observer_;
  std::uint64_t id_;
};

class ObservedTransport : public ForwardingTransport {
 public:
  ObservedTransport(std::shared_ptr<Transport> inner, std::shared_ptr<Observer> observer,
                    std::shared_ptr<const Group> group)
      : ForwardingTransport(std::move(inner)), observer_(std::move(observer)), group_(std::move(group)) {}

  std::shared_ptr<Transport> split(int color, int key) override {
    std::shared_ptr<Transport> part = inner()->split(color, key);
    const int member = group_->members[static_cast<std::size_t>(rank())];
    auto group = std::make_shared<Group>();
    group->name = fmt::format("{}/{}:{}", group_->name, collectives_.load(), color);
    group->members.resize(static_cast<std::size_t>(part->size()));
    part->all_gather(std::as_bytes(std::span(&member, 1)), std::as_writable_bytes(std::span(group->members))).wait();
    return std::make_shared<ObservedTransport>(std::move(part), observer_, std::move(group));
  }

  Event observe(const Operation& operation, const std::function<Event()>& start) override {
    const std::uint64_t sequence = operation.collective ? ++collectives_ : 0;
    auto ending = std::make_shared<Ending>(observer_, observer_->begin({operation, sequence, group_}));
    Event event = ending->run([&] { return inner()->observe(operation, start); });
    if (ending->run([&] { return event.poll(false); })) return Event();
    return Event([event = std::move(event), ending = std::move(ending)](bool block) mutable {
      if (!ending->run([&] { return event.poll(block); })) return false;
      ending.reset();
      return true;
    });
  }

 private:
  std::shared_ptr<Observer> observer_;
  std::shared_ptr<const Group> group_;
  std::atomic<std::uint64_t> collectives_ = 0;
};

}  // namespace

Communicator observed(const Communicator& communicator, std::shared_ptr<Observer> observer) {
  auto group = std::make_shared<Group>();
  group->name = "world";
  group->members.resize(static_cast<std::size_t>(communicator.size()));
  std::iota(group->members.begin(), group->members.end(), 0);
  return Communicator(std::make_shared<ObservedTransport>(communicator.transport(), std::move(observer), group));
}

}  // namespace zonda::parallel
