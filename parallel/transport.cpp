#include "parallel/transport.hpp"

#include <cstring>

namespace zonda::parallel {

Event Transport::barrier() {
  const Label label{true, 2 * begin_collective(), "barrier"};
  std::vector<Event> events;
  for (int shift = 1; shift < size(); ++shift) {
    events.push_back(send({}, (rank() + shift) % size(), label));
    events.push_back(receive({}, (rank() + size() - shift) % size(), label));
  }
  return when_all(std::move(events));
}

Event Transport::broadcast(std::span<std::byte> data, int root) {
  const Label label{true, 2 * begin_collective(), "broadcast"};
  if (rank() != root) return receive(data, root, label);
  std::vector<Event> events;
  for (int shift = 1; shift < size(); ++shift) events.push_back(send(data, (rank() + shift) % size(), label));
  return when_all(std::move(events));
}

Event Transport::all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
  const Label label{true, 2 * begin_collective(), "all_gather"};
  const auto slot = [&](int r) { return all.subspan(static_cast<std::size_t>(r) * mine.size(), mine.size()); };
  if (!mine.empty()) std::memmove(slot(rank()).data(), mine.data(), mine.size());
  std::vector<Event> events;
  for (int shift = 1; shift < size(); ++shift) {
    const int from = (rank() + size() - shift) % size();
    events.push_back(receive(slot(from), from, label));
    events.push_back(send(mine, (rank() + shift) % size(), label));
  }
  return when_all(std::move(events));
}

Event Transport::all_to_all(std::span<const std::byte> data, std::span<const std::size_t> send_offset,
                            std::span<std::byte> received, std::span<const std::size_t> receive_offset) {
  const Label label{true, 2 * begin_collective(), "all_to_all"};
  const auto part = [](auto span, std::span<const std::size_t> offset, int r) {
    const auto i = static_cast<std::size_t>(r);
    return span.subspan(offset[i], offset[i + 1] - offset[i]);
  };
  const auto kept = part(data, send_offset, rank());
  if (!kept.empty()) std::memmove(part(received, receive_offset, rank()).data(), kept.data(), kept.size());
  std::vector<Event> events;
  // Shifted order: at each moment every rank sends to another one.
  for (int shift = 1; shift < size(); ++shift) {
    const int to = (rank() + shift) % size(), from = (rank() + size() - shift) % size();
    events.push_back(receive(part(received, receive_offset, from), from, label));
    events.push_back(send(part(data, send_offset, to), to, label));
  }
  return when_all(std::move(events));
}

Event Transport::all_gather_uneven(std::span<const std::byte> mine, std::span<std::byte> all,
                                   std::span<const std::size_t> offset) {
  const Label label{true, 2 * begin_collective(), "all_gather"};
  const auto part = [&](int r) {
    const auto i = static_cast<std::size_t>(r);
    return all.subspan(offset[i], offset[i + 1] - offset[i]);
  };
  if (!mine.empty()) std::memmove(part(rank()).data(), mine.data(), mine.size());
  std::vector<Event> events;
  for (int shift = 1; shift < size(); ++shift) {
    const int to = (rank() + shift) % size(), from = (rank() + size() - shift) % size();
    if (!part(from).empty()) events.push_back(receive(part(from), from, label));
    if (!mine.empty()) events.push_back(send(mine, to, label));
  }
  return when_all(std::move(events));
}

std::optional<Event> Transport::all_reduce_in_any_order(std::span<std::byte>, Element) {
  return std::nullopt;
}
std::optional<Event> Transport::reduce_scatter_in_any_order(std::span<const std::byte>, std::span<std::byte>, Element) {
  return std::nullopt;
}

Event Transport::observe(const Operation&, const std::function<Event()>& start) {
  return start();
}

std::size_t bytes_of(Element element) {
  return element == Element::f32 ? sizeof(float) : sizeof(double);
}

}  // namespace zonda::parallel
