#include "model/network/stages.hpp"

#include <algorithm>
#include <limits>

#include "core/error.hpp"

namespace zonda::model {

namespace {

constexpr int first_tag = 81;

int tag_of(StageLink::Way way, std::size_t i) {
  return first_tag + 2 * static_cast<int>(i) + (way == StageLink::Way::onward ? 0 : 1);
}

std::span<std::byte> bytes_of(const Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data), tensor.bytes()};
}

}  // namespace

std::vector<std::size_t> cut_into_stages(std::span<const double> work, double first, double last, int stages) {
  const std::size_t layers = work.size(), parts = static_cast<std::size_t>(stages);
  if (parts > layers)
    fail(ErrorKind::usage, "network: {} stages of the mesh's pipeline axis for {} blocks; each stage needs one", stages,
         layers);
  std::vector<double> sums{0};
  for (const double of_layer : work) sums.push_back(sums.back() + of_layer);
  const auto work_of = [&](std::size_t begin, std::size_t end, std::size_t part) {
    return sums[end] - sums[begin] + (part == 0 ? first : 0) + (part + 1 == parts ? last : 0);
  };
  // least[p][e]: of the most work of a stage, with p + 1 stages for the first e layers; cut[p][e]: where stage p
  // begins.
  constexpr double never = std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> least(parts, std::vector<double>(layers + 1, never));
  std::vector<std::vector<std::size_t>> cut(parts, std::vector<std::size_t>(layers + 1));
  for (std::size_t end = 1; end <= layers; ++end) least[0][end] = work_of(0, end, 0);
  for (std::size_t p = 1; p < parts; ++p)
    for (std::size_t end = p + 1; end <= layers; ++end)
      for (std::size_t begin = p; begin < end; ++begin) {
        const double most = std::max(least[p - 1][begin], work_of(begin, end, p));
        if (most < least[p][end]) {
          least[p][end] = most;
          cut[p][end] = begin;
        }
      }
  std::vector<std::size_t> cuts(parts + 1, 0);
  cuts[parts] = layers;
  for (std::size_t p = parts; p-- > 1;) cuts[p] = cut[p][cuts[p + 1]];
  return cuts;
}

void StageLink::send(Way way, std::span<const Tensor> tensors, std::vector<parallel::Event>& events) const {
  if (!has_neighbour(way)) return;
  const int to = ranks_.rank() + (way == Way::onward ? 1 : -1);
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].bytes() > 0) events.push_back(ranks_.send(bytes_of(tensors[i]), to, tag_of(way, i)));
}

void StageLink::receive(Way way, std::span<const Tensor> tensors) {
  if (std::deque<Expected>& queue = expected(way); !queue.empty()) {
    Expected next = std::move(queue.front());
    queue.pop_front();
    for (parallel::Event& event : next.arrivals) event.wait();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].bytes() != next.messages.at(i).size())
        fail(ErrorKind::failure, "stage {} expected {} bytes, and takes {}", ranks_.rank(), next.messages[i].size(),
             tensors[i].bytes());
      std::copy(next.messages[i].begin(), next.messages[i].end(), bytes_of(tensors[i]).begin());
    }
    return;
  }
  std::vector<parallel::Event> events;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].bytes() > 0) events.push_back(ranks_.receive(bytes_of(tensors[i]), sender(way), tag_of(way, i)));
  for (parallel::Event& event : events) event.wait();
}

void StageLink::expect(Way way, std::span<const std::size_t> bytes) {
  const Way against = way == Way::onward ? Way::back : Way::onward;
  if (!has_neighbour(against)) return;
  Expected next;
  for (const std::size_t size : bytes) next.messages.emplace_back(size);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] > 0) next.arrivals.push_back(ranks_.receive(next.messages[i], sender(way), tag_of(way, i)));
  expected(way).push_back(std::move(next));
}

void StageLink::to_all(const Tensor& tensor, int root) const {
  if (!alone() && tensor.bytes() > 0) ranks_.broadcast(bytes_of(tensor), root).wait();
}

RankTraffic StageLink::sending(Way way, std::span<const std::size_t> bytes) const {
  RankTraffic sum;
  if (!has_neighbour(way)) return sum;
  for (const std::size_t of_message : bytes)
    if (of_message > 0) sum += {1, of_message};
  return sum;
}

RankTraffic StageLink::to_all_traffic(bool from_here, std::size_t bytes) const {
  if (!from_here || bytes == 0) return {};
  const auto others = static_cast<std::uint64_t>(ranks_.size() - 1);
  return {others, others * bytes};
}

}  // namespace zonda::model
