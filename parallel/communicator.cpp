#include "parallel/communicator.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "core/error.hpp"
#include "parallel/all_reduce.hpp"
#include "parallel/partition.hpp"
#include "parallel/transport.hpp"

namespace zonda::parallel {
namespace {

void require_rank(int rank, int size, const char* operation) {
  if (rank < 0 || rank >= size) fail(ErrorKind::failure, "{}: rank {} is not in 0..{}", operation, rank, size - 1);
}

void require_offsets(std::span<const std::size_t> offset, int ranks, std::size_t bytes, const char* operation,
                     const char* which) {
  if (offset.size() != static_cast<std::size_t>(ranks) + 1 || !std::is_sorted(offset.begin(), offset.end()) ||
      offset.back() > bytes)
    fail(ErrorKind::failure, "{}: {} offsets must be {} ascending numbers up to {}", operation, which, ranks + 1,
         bytes);
}

bool checked() {
  static const bool wanted = [] {
    const char* value = std::getenv("ZONDA_CHECK_COLLECTIVES");
    return value != nullptr && std::string_view(value) == "1";
  }();
  return wanted;
}

/// With ZONDA_CHECK_COLLECTIVES=1 all ranks compare what they are about to do; a rank that skipped a collective or
/// calls another one is then named at once, where MPI would hang or mix up the data.
void compare_signatures(Transport& transport, const Operation& operation) {
  struct Signature {
    std::array<char, 24> operation{};
    std::uint64_t bytes = 0;
    std::int64_t root = 0;
    bool operator==(const Signature&) const = default;
  };
  Signature mine;
  std::string_view(operation.name).copy(mine.operation.data(), mine.operation.size() - 1);
  // What these give may differ between ranks.
  const std::string_view name = operation.name;
  mine.bytes = name == "all_to_all" || name == "all_gather uneven" ? 0 : operation.bytes;
  mine.root = operation.root;
  std::vector<Signature> all(static_cast<std::size_t>(transport.size()));
  transport.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all))).wait();
  for (std::size_t r = 1; r < all.size(); ++r)
    if (all[r] != all[0])
      fail(ErrorKind::failure,
           "collectives differ: rank 0 is in {} ({} bytes, root {}), rank {} in {} ({} bytes, root {})",
           all[0].operation.data(), all[0].bytes, all[0].root, r, all[r].operation.data(), all[r].bytes, all[r].root);
}

Event observed(Transport& transport, const Operation& operation, const std::function<Event()>& start) {
  if (!operation.collective || !checked() || transport.size() == 1) return transport.observe(operation, start);
  return transport.observe(operation, [&] {
    compare_signatures(transport, operation);
    return start();
  });
}

template <class T>
constexpr Element element_of = std::is_same_v<T, float>    ? Element::f32
                               : std::is_same_v<T, double> ? Element::f64
                                                           : Element::i64;

}  // namespace

Communicator Communicator::self() {
  return Communicator(make_self_transport());
}
int Communicator::rank() const {
  return transport_->rank();
}
int Communicator::size() const {
  return transport_->size();
}

Communicator Communicator::split(int color, int key) const {
  std::shared_ptr<Transport> part;
  observed(*transport_, {"split"}, [&] {
    part = transport_->split(color, key);
    return Event();
  }).wait();
  return Communicator(std::move(part));
}

void Communicator::barrier() const {
  observed(*transport_, {"barrier"}, [&] { return transport_->barrier(); }).wait();
}

Event Communicator::broadcast(std::span<std::byte> data, int root) const {
  require_rank(root, size(), "broadcast");
  return observed(*transport_, {"broadcast", data.size(), root}, [&] { return transport_->broadcast(data, root); });
}

Event Communicator::send(std::span<const std::byte> data, int to, int tag) const {
  require_rank(to, size(), "send");
  if (tag < 0) fail(ErrorKind::failure, "send: tag {} is negative", tag);
  return observed(*transport_, {"send", data.size(), to, false}, [&] {
    return transport_->send(data, to, Label{false, static_cast<std::uint64_t>(tag), "send"});
  });
}

Event Communicator::receive(std::span<std::byte> data, int from, int tag) const {
  require_rank(from, size(), "receive");
  if (tag < 0) fail(ErrorKind::failure, "receive: tag {} is negative", tag);
  return observed(*transport_, {"receive", data.size(), from, false}, [&] {
    return transport_->receive(data, from, Label{false, static_cast<std::uint64_t>(tag), "receive"});
  });
}

Event Communicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const {
  if (all.size() != mine.size() * static_cast<std::size_t>(size()))
    fail(ErrorKind::failure, "all_gather: {} ranks with {} bytes each do not fill {} bytes", size(), mine.size(),
         all.size());
  return observed(*transport_, {"all_gather", mine.size()}, [&] { return transport_->all_gather(mine, all); });
}

Event Communicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all,
                               std::span<const std::size_t> offset) const {
  require_offsets(offset, size(), all.size(), "all_gather", "receive");
  const auto me = static_cast<std::size_t>(rank());
  if (offset[me + 1] - offset[me] != mine.size())
    fail(ErrorKind::failure, "all_gather: rank {} gives {} bytes where the offsets say {}", me, mine.size(),
         offset[me + 1] - offset[me]);
  return observed(*transport_, {"all_gather uneven", mine.size()},
                  [&] { return transport_->all_gather_uneven(mine, all, offset); });
}

Event Communicator::all_to_all(std::span<const std::byte> data, std::span<const std::size_t> send_offset,
                               std::span<std::byte> received, std::span<const std::size_t> receive_offset) const {
  require_offsets(send_offset, size(), data.size(), "all_to_all", "send");
  require_offsets(receive_offset, size(), received.size(), "all_to_all", "receive");
  const auto me = static_cast<std::size_t>(rank());
  if (send_offset[me + 1] - send_offset[me] != receive_offset[me + 1] - receive_offset[me])
    fail(ErrorKind::failure, "all_to_all: rank {} sends itself {} bytes and expects {}", me,
         send_offset[me + 1] - send_offset[me], receive_offset[me + 1] - receive_offset[me]);
  return observed(*transport_, {"all_to_all", data.size()},
                  [&] { return transport_->all_to_all(data, send_offset, received, receive_offset); });
}

template <class T>
Event Communicator::reduce(std::span<T> values, Reduction reduction, Order order, const char* name) const {
  return observed(*transport_, {name, values.size_bytes(), static_cast<int>(reduction)}, [&] {
    if (size() > 1 && order == Order::any && reduction == Reduction::sum)
      if (auto event = transport_->all_reduce_in_any_order(std::as_writable_bytes(values), element_of<T>))
        return *std::move(event);
    return reduce_in_rank_order(transport_, values, reduction);
  });
}

Event Communicator::all_reduce(std::span<double> values, Reduction reduction, Order order) const {
  return reduce(values, reduction, order, "all_reduce f64");
}
Event Communicator::all_reduce(std::span<float> values, Reduction reduction, Order order) const {
  return reduce(values, reduction, order, "all_reduce f32");
}
Event Communicator::all_reduce(std::span<std::int64_t> values, Reduction reduction, Order order) const {
  return reduce(values, reduction, order, "all_reduce i64");
}

template <class T>
Event Communicator::scatter(std::span<const T> values, std::span<T> mine, Order order, const char* name) const {
  const std::size_t own =
      partition(values.size(), static_cast<std::size_t>(size()), static_cast<std::size_t>(rank())).size();
  if (mine.size() != own)
    fail(ErrorKind::failure, "reduce_scatter: of {} values rank {} of {} gets {}, not {}", values.size(), rank(),
         size(), own, mine.size());
  return observed(*transport_, {name, values.size_bytes()}, [&] {
    if (size() > 1 && order == Order::any)
      if (auto event = transport_->reduce_scatter_in_any_order(std::as_bytes(values), std::as_writable_bytes(mine),
                                                               element_of<T>))
        return *std::move(event);
    return reduce_scatter_in_rank_order(transport_, values, mine);
  });
}

Event Communicator::reduce_scatter(std::span<const double> values, std::span<double> mine, Order order) const {
  return scatter(values, mine, order, "reduce_scatter f64");
}
Event Communicator::reduce_scatter(std::span<const float> values, std::span<float> mine, Order order) const {
  return scatter(values, mine, order, "reduce_scatter f32");
}

void Communicator::abandon(const std::string& reason) const {
  transport_->abandon(reason);
}

std::vector<std::vector<std::byte>> Communicator::all_gather_variable(std::span<const std::byte> mine) const {
  const std::uint64_t length = mine.size();
  std::vector<std::uint64_t> lengths(static_cast<std::size_t>(size()));
  all_gather(std::as_bytes(std::span(&length, 1)), std::as_writable_bytes(std::span(lengths))).wait();
  const std::size_t longest = *std::max_element(lengths.begin(), lengths.end());
  std::vector<std::byte> padded(longest), all(longest * lengths.size());
  std::copy(mine.begin(), mine.end(), padded.begin());
  all_gather(padded, all).wait();
  std::vector<std::vector<std::byte>> parts;
  for (std::size_t r = 0; r < lengths.size(); ++r) {
    const auto part = std::span(all).subspan(r * longest, lengths[r]);
    parts.emplace_back(part.begin(), part.end());
  }
  return parts;
}

void Communicator::agree(int error_kind, const std::string& message) const {
  // In the usual case, no error anywhere, one number travels.
  std::int64_t first = message.empty() ? size() : rank();
  all_reduce(std::span(&first, 1), Reduction::min).wait();
  if (first == size()) return;
  std::array<std::int64_t, 2> about{error_kind, static_cast<std::int64_t>(message.size())};
  const int root = static_cast<int>(first);
  broadcast(std::as_writable_bytes(std::span(about)), root).wait();
  std::string text = rank() == root ? message : std::string(static_cast<std::size_t>(about[1]), ' ');
  broadcast(std::as_writable_bytes(std::span(text)), root).wait();
  throw Error(static_cast<ErrorKind>(about[0]), text);
}

}  // namespace zonda::parallel
