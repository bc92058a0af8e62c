#pragma once
// Ranks: one value type in front of three transports (one process alone, threads of one process, MPI).
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace zonda::parallel {

/// The end of an asynchronous operation. Buffers must live until wait() returns. Waits on destruction are the caller's
/// duty.
class Event {
 public:
  Event() = default;  ///< already done
  explicit Event(std::function<bool(bool block)> poll) : poll_(std::move(poll)) {}
  /// Returns when the operation is over. Throws Error(temporary) where another rank ended instead.
  void wait();
  /// Whether the operation is over; never blocks.
  bool test();
  /// One look: whether the operation is over. With `block` it may sleep for some milliseconds first.
  bool poll(bool block);

 private:
  std::function<bool(bool)> poll_;  ///< returns whether done; may sleep a moment if asked to block
};

/// What this thread has spent in Event::wait() so far: communication, and waiting for slower ranks, that no work hides.
double seconds_waited();
/// Of a processor, by the calling thread, without what it spent in Event::wait(): its own work, however many ranks
/// share a processor.
double processor_seconds_worked();

enum class Reduction { sum, min, max };

/// In which order a sum over ranks is added: ((r0 + r1) + r2) ..., or as the library likes (faster on some networks;
/// the bits then depend on the library, the size of the message and the network).
enum class Order { by_rank, any };

/// What a transport provides; messages are bytes. Written by transports, used through Communicator.
class Transport;

/// A group of ranks. Copies refer to the same group. Every collective must be called by all ranks in the same order.
class Communicator {
 public:
  /// One rank: this process (thread) alone.
  static Communicator self();
  explicit Communicator(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

  int rank() const;
  int size() const;
  bool is_root() const { return rank() == 0; }
  /// Ranks with equal color form a new group, ordered by (key, rank).
  Communicator split(int color, int key) const;

  void barrier() const;
  Event broadcast(std::span<std::byte> data, int root) const;
  Event send(std::span<const std::byte> data, int to, int tag) const;
  Event receive(std::span<std::byte> data, int from, int tag) const;
  /// Rank r's `mine` lands at `all[r * mine.size()]`.
  Event all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const;
  /// Uneven parts: rank r's lands at `all[offset[r], offset[r + 1])`. Offsets in bytes, size() + 1 entries, the same on
  /// all ranks. `mine` may lie in its place within `all`.
  Event all_gather(std::span<const std::byte> mine, std::span<std::byte> all,
                   std::span<const std::size_t> offset) const;
  /// `send[send_offset[r], send_offset[r + 1])` goes to rank r; what comes from r lands at `receive[receive_offset[r]
  /// ...)`. Offsets in bytes, size() + 1 entries.
  Event all_to_all(std::span<const std::byte> send, std::span<const std::size_t> send_offset,
                   std::span<std::byte> receive, std::span<const std::size_t> receive_offset) const;
  /// Element-wise, in place, in rank order ((r0 + r1) + r2 ...): deterministic for a given number of ranks.
  /// For results that may not depend on the number of ranks see parallel/canonical.hpp.
  Event all_reduce(std::span<double> values, Reduction reduction, Order order = Order::by_rank) const;
  Event all_reduce(std::span<float> values, Reduction reduction, Order order = Order::by_rank) const;
  Event all_reduce(std::span<std::int64_t> values, Reduction reduction, Order order = Order::by_rank) const;
  /// Sum of `values` over the ranks, of which this rank gets the part partition(values.size(), size(), rank()).
  Event reduce_scatter(std::span<const double> values, std::span<double> mine, Order order = Order::by_rank) const;
  Event reduce_scatter(std::span<const float> values, std::span<float> mine, Order order = Order::by_rank) const;

  /// Variable-length gather to every rank (small metadata only): one byte string per rank.
  std::vector<std::vector<std::byte>> all_gather_variable(std::span<const std::byte> mine) const;
  /// If any rank passes a non-empty message, every rank throws the lowest rank's Error(kind as int); nobody hangs.
  void agree(int error_kind, const std::string& message) const;

  /// Ends the work of all ranks with Error(temporary): threads in their next wait, processes with exit code 75.
  void abandon(const std::string& reason) const;

  /// For decorators (parallel/counting.hpp, parallel/observer.hpp) and the algorithms of this folder.
  const std::shared_ptr<Transport>& transport() const { return transport_; }

 private:
  template <class T>
  Event reduce(std::span<T> values, Reduction reduction, Order order, const char* name) const;
  template <class T>
  Event scatter(std::span<const T> values, std::span<T> mine, Order order, const char* name) const;
  std::shared_ptr<Transport> transport_;
};

/// Runs `body(communicator)` on `ranks` threads of this process. An exception on one rank reaches the caller; the
/// others' blocked collectives end with Error(temporary).
void run_on_threads(int ranks, const std::function<void(const Communicator&)>& body);

}  // namespace zonda::parallel
