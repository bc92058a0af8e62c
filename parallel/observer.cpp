#include "parallel/observer.hpp"

#include <fmt/format.h>

#include <atomic>
#include <numeric>

#include "core/error.hpp"

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

class ObservedTransport : public Transport {
 public:
  ObservedTransport(std::shared_ptr<Transport> inner, std::shared_ptr<Observer> observer,
                    std::shared_ptr<const Group> group)
      : inner_(std::move(inner)), observer_(std::move(observer)), group_(std::move(group)) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }

  std::shared_ptr<Transport> split(int color, int key) override {
    std::shared_ptr<Transport> part = inner_->split(color, key);
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
    Event event = ending->run([&] { return inner_->observe(operation, start); });
    if (ending->run([&] { return event.poll(false); })) return Event();
    return Event([event = std::move(event), ending = std::move(ending)](bool block) mutable {
      if (!ending->run([&] { return event.poll(block); })) return false;
      ending.reset();
      return true;
    });
  }

  Event send(std::span<const std::byte> data, int to, const Label& label) override {
    return inner_->send(data, to, label);
  }
  Event receive(std::span<std::byte> data, int from, const Label& label) override {
    return inner_->receive(data, from, label);
  }
  Event barrier() override { return inner_->barrier(); }
  Event broadcast(std::span<std::byte> data, int root) override { return inner_->broadcast(data, root); }
  Event all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    return inner_->all_gather(mine, all);
  }
  Event all_gather_uneven(std::span<const std::byte> mine, std::span<std::byte> all,
                          std::span<const std::size_t> offset) override {
    return inner_->all_gather_uneven(mine, all, offset);
  }
  Event all_to_all(std::span<const std::byte> data, std::span<const std::size_t> send_offset,
                   std::span<std::byte> received, std::span<const std::size_t> receive_offset) override {
    return inner_->all_to_all(data, send_offset, received, receive_offset);
  }
  std::optional<Event> all_reduce_in_any_order(std::span<std::byte> values, Element element) override {
    return inner_->all_reduce_in_any_order(values, element);
  }
  std::optional<Event> reduce_scatter_in_any_order(std::span<const std::byte> values, std::span<std::byte> mine,
                                                   Element element) override {
    return inner_->reduce_scatter_in_any_order(values, mine, element);
  }
  void abandon(const std::string& reason) override { inner_->abandon(reason); }
  const void* mpi() const override { return inner_->mpi(); }
  const Levels* levels() const override { return inner_->levels(); }
  std::vector<int> nodes() override { return inner_->nodes(); }
  std::uint64_t begin_collective() override { return inner_->begin_collective(); }

 private:
  std::shared_ptr<Transport> inner_;
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
