#include "parallel/counting.hpp"

#include "parallel/forwarding_transport.hpp"
#include "parallel/partition.hpp"

namespace zonda::parallel {
namespace {

class CountingTransport : public ForwardingTransport {
 public:
  CountingTransport(std::shared_ptr<Transport> inner, std::shared_ptr<Traffic> traffic)
      : ForwardingTransport(std::move(inner)), traffic_(std::move(traffic)) {}
  std::shared_ptr<Transport> split(int color, int key) override {
    return std::make_shared<CountingTransport>(inner()->split(color, key), traffic_);
  }
  Event send(std::span<const std::byte> data, int to, const Label& label) override {
    Traffic::Count& count = label.collective ? traffic_->reduction : traffic_->send;
    add(count, to == rank() ? 0 : 1, to == rank() ? 0 : data.size());
    return inner()->send(data, to, label);
  }
  Event barrier() override {
    add(traffic_->barrier, others(), 0);
    return inner()->barrier();
  }
  Event broadcast(std::span<std::byte> data, int root) override {
    const std::uint64_t messages = rank() == root ? others() : 0;
    add(traffic_->broadcast, messages, messages * data.size());
    return inner()->broadcast(data, root);
  }
  Event all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    add(traffic_->all_gather, others(), others() * mine.size());
    return inner()->all_gather(mine, all);
  }
  Event all_to_all(std::span<const std::byte> data, std::span<const std::size_t> send_offset,
                   std::span<std::byte> received, std::span<const std::size_t> receive_offset) override {
    std::uint64_t messages = 0, bytes = 0;
    for (std::size_t r = 0; r + 1 < send_offset.size(); ++r) {
      const std::size_t part = send_offset[r + 1] - send_offset[r];
      if (static_cast<int>(r) == rank() || part == 0) continue;
      ++messages;
      bytes += part;
    }
    add(traffic_->all_to_all, messages, bytes);
    return inner()->all_to_all(data, send_offset, received, receive_offset);
  }
  Event all_gather_uneven(std::span<const std::byte> mine, std::span<std::byte> all,
                          std::span<const std::size_t> offset) override {
    const std::uint64_t messages = mine.empty() ? 0 : others();
    add(traffic_->all_gather, messages, messages * mine.size());
    return inner()->all_gather_uneven(mine, all, offset);
  }
  std::optional<Event> all_reduce_in_any_order(std::span<std::byte> values, Element element) override {
    std::optional<Event> event = inner()->all_reduce_in_any_order(values, element);
    if (event) count_reduction(values.size() / bytes_of(element), bytes_of(element), true);
    return event;
  }
  std::optional<Event> reduce_scatter_in_any_order(std::span<const std::byte> values, std::span<std::byte> mine,
                                                   Element element) override {
    std::optional<Event> event = inner()->reduce_scatter_in_any_order(values, mine, element);
    if (event) count_reduction(values.size() / bytes_of(element), bytes_of(element), false);
    return event;
  }

 private:
  std::uint64_t others() const { return static_cast<std::uint64_t>(size() - 1); }
  static void add(Traffic::Count& count, std::uint64_t messages, std::uint64_t bytes) {
    ++count.calls;
    count.messages += messages;
    count.bytes += bytes;
  }
  /// The other ranks' segments go out, and where all shall have the sum, this rank's own to all of them.
  void count_reduction(std::size_t n, std::size_t width, bool to_all) {
    const std::size_t own = partition(n, static_cast<std::size_t>(size()), static_cast<std::size_t>(rank())).size();
    add(traffic_->reduction, others() * (to_all ? 2 : 1), (n - own + (to_all ? others() * own : 0)) * width);
  }
  std::shared_ptr<Traffic> traffic_;
};

}  // namespace

std::uint64_t Traffic::bytes() const {
  return barrier.bytes + broadcast.bytes + send.bytes + all_gather.bytes + all_to_all.bytes + reduction.bytes;
}
std::uint64_t Traffic::messages() const {
  return barrier.messages + broadcast.messages + send.messages + all_gather.messages + all_to_all.messages +
         reduction.messages;
}

Communicator counted(const Communicator& communicator, std::shared_ptr<Traffic> traffic) {
  return Communicator(std::make_shared<CountingTransport>(communicator.transport(), std::move(traffic)));
}

}  // namespace zonda::parallel
