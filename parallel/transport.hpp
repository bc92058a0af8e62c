#pragma once
// What a transport provides: labelled messages of bytes between ranks. The collectives have a plain implementation over
// messages here; a transport overrides those that it can do better.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

struct Levels;

/// Which message this is. Messages of users match by tag; those of collectives by the number of the collective, which
/// every rank counts alike, so that several collectives may be under way at once.
struct Label {
  bool collective = false;
  std::uint64_t number = 0;        ///< the tag, or 2 * (number of the collective) + step
  const char* operation = "send";  ///< for error messages
};

/// One call of a communicator, as decorators see it.
struct Operation {
  const char* name;
  std::uint64_t bytes = 0;  ///< that this rank gives, or receives where it gives none
  std::int64_t root = 0;    ///< root of a broadcast, peer of a message, kind of a reduction
  bool collective = true;
};

enum class Element { f32, f64, i64 };
std::size_t bytes_of(Element element);

class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual std::shared_ptr<Transport> split(int color, int key) = 0;
  virtual Event send(std::span<const std::byte> data, int to, const Label& label) = 0;
  /// The message must have exactly data.size() bytes: otherwise Error(failure).
  virtual Event receive(std::span<std::byte> data, int from, const Label& label) = 0;

  virtual Event barrier();
  virtual Event broadcast(std::span<std::byte> data, int root);
  virtual Event all_gather(std::span<const std::byte> mine, std::span<std::byte> all);
  virtual Event all_to_all(std::span<const std::byte> send, std::span<const std::size_t> send_offset,
                           std::span<std::byte> receive, std::span<const std::size_t> receive_offset);
  virtual Event all_gather_uneven(std::span<const std::byte> mine, std::span<std::byte> all,
                                  std::span<const std::size_t> offset);
  /// Sums in an order of the transport's own choice, where it has such an operation; else nothing.
  virtual std::optional<Event> all_reduce_in_any_order(std::span<std::byte> values, Element element);
  virtual std::optional<Event> reduce_scatter_in_any_order(std::span<const std::byte> values, std::span<std::byte> mine,
                                                           Element element);

  /// Every call of a communicator passes here, so that a decorator can watch it from its start to its end.
  virtual Event observe(const Operation& operation, const std::function<Event()>& start);
  virtual void abandon(const std::string& reason) = 0;
  /// The MPI_Comm behind it; null where there is none.
  virtual const void* mpi() const { return nullptr; }
  /// Of each rank the first rank that shares its node. Collective.
  virtual std::vector<int> nodes() { return std::vector<int>(static_cast<std::size_t>(size()), 0); }
  /// In which canonical sums go (parallel/levels.hpp); null: from everybody to everybody.
  virtual const Levels* levels() const { return nullptr; }

  /// The number of the next collective on this rank.
  virtual std::uint64_t begin_collective() { return collectives_++; }

 private:
  std::uint64_t collectives_ = 0;
};

/// Done when all of them are. `then` runs once, after that, on the thread that finds it out.
Event when_all(std::vector<Event> events, std::function<void()> then = {});

/// An operation of several steps: `step` is called until it returns true. It goes on while its thread waits for any
/// other event as well, so that a rank that waits for something else first holds nobody up.
Event continued(std::function<bool(bool block)> step);

std::shared_ptr<Transport> make_self_transport();
/// MPI_COMM_WORLD; MPI must have been started with thread level multiple.
std::shared_ptr<Transport> make_mpi_world();
/// Messages above this many bytes travel in parts (default 1 GiB; MPI counts in int). For tests; the same on all ranks.
void set_largest_mpi_message(std::size_t bytes);

/// Ranks as threads: one transport for each of `ranks`.
class ThreadWorld {
 public:
  explicit ThreadWorld(int ranks);
  ~ThreadWorld();
  ThreadWorld(const ThreadWorld&) = delete;
  ThreadWorld& operator=(const ThreadWorld&) = delete;
  std::shared_ptr<Transport> transport(int rank) const;
  /// Rank `rank` ended in an error: whoever waits gets Error(temporary).
  void fail(int rank, const std::string& reason);
  /// Rank `rank` is done: whoever waits for a message that it never sent gets Error(failure).
  void leave(int rank);

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace zonda::parallel
