#include "parallel/communicator.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/error.hpp"
#include "parallel/all_reduce.hpp"
#include "parallel/transport.hpp"

namespace zonda::parallel {
namespace {

void require_rank(int rank, int size, const char* operation) {
  if (rank < 0 || rank >= size) fail(ErrorKind::failure, "{}: rank {} is not in 0..{}", operation, rank, size - 1);
}

/// With ZONDA_CHECK_COLLECTIVES=1 all ranks compare what they are about to do; a rank that skipped a collective or
/// calls another one is then named at once, where MPI would hang or mix up the data.
void check_signature(Transport& transport, std::string_view operation, std::uint64_t bytes, int root = 0) {
  static const bool wanted = [] {
    const char* value = std::getenv("ZONDA_CHECK_COLLECTIVES");
    return value != nullptr && std::string_view(value) == "1";
  }();
  if (!wanted || transport.size() == 1) return;
  struct Signature {
    std::array<char, 16> operation{};
    std::uint64_t bytes = 0;
    std::int64_t root = 0;
    bool operator==(const Signature&) const = default;
  };
  Signature mine;
  operation.copy(mine.operation.data(), mine.operation.size() - 1);
  mine.bytes = bytes;
  mine.root = root;
  std::vector<Signature> all(static_cast<std::size_t>(transport.size()));
  transport.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all))).wait();
  for (std::size_t r = 1; r < all.size(); ++r)
    if (all[r] != all[0])
      fail(ErrorKind::failure,
           "collectives differ: rank 0 is in {} ({} bytes, root {}), rank {} in {} ({} bytes, root {})",
           all[0].operation.data(), all[0].bytes, all[0].root, r, all[r].operation.data(), all[r].bytes, all[r].root);
}

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
  check_signature(*transport_, "split", 0);
  return Communicator(transport_->split(color, key));
}

void Communicator::barrier() const {
  check_signature(*transport_, "barrier", 0);
  transport_->barrier().wait();
}

Event Communicator::broadcast(std::span<std::byte> data, int root) const {
  require_rank(root, size(), "broadcast");
  check_signature(*transport_, "broadcast", data.size(), root);
  return transport_->broadcast(data, root);
}

Event Communicator::send(std::span<const std::byte> data, int to, int tag) const {
  require_rank(to, size(), "send");
  if (tag < 0) fail(ErrorKind::failure, "send: tag {} is negative", tag);
  return transport_->send(data, to, Label{false, static_cast<std::uint64_t>(tag), "send"});
}

Event Communicator::receive(std::span<std::byte> data, int from, int tag) const {
  require_rank(from, size(), "receive");
  if (tag < 0) fail(ErrorKind::failure, "receive: tag {} is negative", tag);
  return transport_->receive(data, from, Label{false, static_cast<std::uint64_t>(tag), "receive"});
}

Event Communicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const {
  if (all.size() != mine.size() * static_cast<std::size_t>(size()))
    fail(ErrorKind::failure, "all_gather: {} ranks with {} bytes each do not fill {} bytes", size(), mine.size(),
         all.size());
  check_signature(*transport_, "all_gather", mine.size());
  return transport_->all_gather(mine, all);
}

Event Communicator::all_to_all(std::span<const std::byte> data, std::span<const std::size_t> send_offset,
                               std::span<std::byte> received, std::span<const std::size_t> receive_offset) const {
  const auto require = [&](std::span<const std::size_t> offset, std::size_t bytes, const char* which) {
    if (offset.size() != static_cast<std::size_t>(size()) + 1 || !std::is_sorted(offset.begin(), offset.end()) ||
        offset.back() > bytes)
      fail(ErrorKind::failure, "all_to_all: {} offsets must be {} ascending numbers up to {}", which, size() + 1,
           bytes);
  };
  require(send_offset, data.size(), "send");
  require(receive_offset, received.size(), "receive");
  const auto me = static_cast<std::size_t>(rank());
  if (send_offset[me + 1] - send_offset[me] != receive_offset[me + 1] - receive_offset[me])
    fail(ErrorKind::failure, "all_to_all: rank {} sends itself {} bytes and expects {}", me,
         send_offset[me + 1] - send_offset[me], receive_offset[me + 1] - receive_offset[me]);
  check_signature(*transport_, "all_to_all", 0);
  return transport_->all_to_all(data, send_offset, received, receive_offset);
}

Event Communicator::all_reduce(std::span<double> values, Reduction reduction) const {
  check_signature(*transport_, "all_reduce f64", values.size_bytes(), static_cast<int>(reduction));
  return reduce_in_rank_order(transport_, values, reduction);
}
Event Communicator::all_reduce(std::span<float> values, Reduction reduction) const {
  check_signature(*transport_, "all_reduce f32", values.size_bytes(), static_cast<int>(reduction));
  return reduce_in_rank_order(transport_, values, reduction);
}
Event Communicator::all_reduce(std::span<std::int64_t> values, Reduction reduction) const {
  check_signature(*transport_, "all_reduce i64", values.size_bytes(), static_cast<int>(reduction));
  return reduce_in_rank_order(transport_, values, reduction);
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
