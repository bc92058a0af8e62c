#pragma once
// A transport in front of another, to which it hands everything on: decorators override what they change.
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "parallel/transport.hpp"

namespace zonda::parallel {

class ForwardingTransport : public Transport {
 public:
  explicit ForwardingTransport(std::shared_ptr<Transport> inner) : inner_(std::move(inner)) {}
  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  /// The inner transport's part, without the decorator.
  std::shared_ptr<Transport> split(int color, int key) override { return inner_->split(color, key); }
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
  Event all_to_all(std::span<const std::byte> data, std::span<const std::size_t> send_offset,
                   std::span<std::byte> received, std::span<const std::size_t> receive_offset) override {
    return inner_->all_to_all(data, send_offset, received, receive_offset);
  }
  Event all_gather_uneven(std::span<const std::byte> mine, std::span<std::byte> all,
                          std::span<const std::size_t> offset) override {
    return inner_->all_gather_uneven(mine, all, offset);
  }
  std::optional<Event> all_reduce_in_any_order(std::span<std::byte> values, Element element) override {
    return inner_->all_reduce_in_any_order(values, element);
  }
  std::optional<Event> reduce_scatter_in_any_order(std::span<const std::byte> values, std::span<std::byte> mine,
                                                   Element element) override {
    return inner_->reduce_scatter_in_any_order(values, mine, element);
  }
  Event observe(const Operation& operation, const std::function<Event()>& start) override {
    return inner_->observe(operation, start);
  }
  void abandon(const std::string& reason) override { inner_->abandon(reason); }
  const void* mpi() const override { return inner_->mpi(); }
  std::vector<int> nodes() override { return inner_->nodes(); }
  const Levels* levels() const override { return inner_->levels(); }
  std::uint64_t begin_collective() override { return inner_->begin_collective(); }

 protected:
  const std::shared_ptr<Transport>& inner() const { return inner_; }

 private:
  std::shared_ptr<Transport> inner_;
};

}  // namespace zonda::parallel
