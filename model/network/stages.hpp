#pragma once
// Stages: a network's layers cut over ranks, each of which holds some that follow one another and hands on what they
// make (pipeline parallelism: Huang et al. 2019, Narayanan et al. 2019).
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "model/tensor/tensor.hpp"
#include "parallel/communicator.hpp"

namespace zonda::model {

/// Cuts layers into runs, one for each stage and none empty, so that the most work of a stage is least. `work` of each
/// layer; `first` and `last`: what the first stage and the last do besides. Returns where the runs begin, and the
/// layers' number: [stages + 1]. Throws Error(usage) where stages outnumber layers.
std::vector<std::size_t> cut_into_stages(std::span<const double> work, double first, double last, int stages);

/// What a rank sends.
struct RankTraffic {
  std::uint64_t messages = 0, bytes = 0;
  RankTraffic& operator+=(const RankTraffic& other) {
    messages += other.messages;
    bytes += other.bytes;
    return *this;
  }
};

/// Tensors in the host's memory from one stage to the next, to the one before, and to all. Messages of nothing are left
/// out.
class StageLink {
 public:
  explicit StageLink(const parallel::Communicator& ranks) : ranks_(ranks) {}
  const parallel::Communicator& ranks() const { return ranks_; }
  bool alone() const { return ranks_.size() == 1; }
  bool first() const { return ranks_.rank() == 0; }
  bool last() const { return ranks_.rank() + 1 == ranks_.size(); }

  /// What is sent must stay until the event is over; receive() waits. Pairs are `what` of one direction.
  enum class Way { onward, back };
  void send(Way way, std::span<const Tensor> tensors, std::vector<parallel::Event>& events) const;
  void receive(Way way, std::span<const Tensor> tensors);
  /// Lets what a receive() will take, of tensors of so many bytes, come meanwhile, into memory of its own; receives
  /// take what was expected in that order.
  void expect(Way way, std::span<const std::size_t> bytes);
  /// The first stage's tensor, or the last one's, becomes everybody's. Collective.
  void first_to_all(const Tensor& tensor) const { to_all(tensor, 0); }
  void last_to_all(const Tensor& tensor) const { to_all(tensor, ranks_.size() - 1); }
  /// Of send() and of the two above, for tensors of so many bytes.
  RankTraffic sending(Way way, std::span<const std::size_t> bytes) const;
  RankTraffic first_to_all_traffic(std::size_t bytes) const { return to_all_traffic(first(), bytes); }
  RankTraffic last_to_all_traffic(std::size_t bytes) const { return to_all_traffic(last(), bytes); }

 private:
  bool has_neighbour(Way way) const { return way == Way::onward ? !last() : !first(); }
  void to_all(const Tensor& tensor, int root) const;
  RankTraffic to_all_traffic(bool from_here, std::size_t bytes) const;
  struct Expected {
    std::vector<std::vector<std::byte>> messages;
    std::vector<parallel::Event> arrivals;
  };
  std::deque<Expected>& expected(Way way) { return way == Way::onward ? expected_onward_ : expected_back_; }
  int sender(Way way) const { return ranks_.rank() + (way == Way::onward ? -1 : 1); }
  parallel::Communicator ranks_;
  std::deque<Expected> expected_onward_, expected_back_;
};

}  // namespace zonda::model
