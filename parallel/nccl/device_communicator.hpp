#pragma once
// Ranks that hold their data on GPUs, one GPU each. NCCL carries it; it sits in a module that is opened at run time, so
// that programs start where NCCL or a GPU is absent.
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

class TcpStore;

/// Pointers are device memory of this rank's GPU. Calls put work on a stream and return; they throw Error(temporary)
/// where another rank is gone or does not answer within the deadline, and the communicator is of no use any more. All
/// ranks make the same calls in the same order.
class DeviceCommunicator {
 public:
  /// A cudaStream_t; null is the default stream.
  using Stream = void*;

  virtual ~DeviceCommunicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual void broadcast(void* data, std::size_t bytes, int root, Stream stream) = 0;
  /// Rank r's bytes land at offset[r] of `all`, up to offset[r + 1]. `mine` may lie in its place there.
  virtual void all_gather(const void* mine, void* all, std::span<const std::size_t> offset, Stream stream) = 0;
  /// As Communicator::all_to_all.
  virtual void all_to_all(const void* send, std::span<const std::size_t> send_offset, void* receive,
                          std::span<const std::size_t> receive_offset, Stream stream) = 0;
  /// In place. Order::any is the library's; Order::by_rank adds rank by rank, with the bits that the host's transports
  /// give: messages to the rank that adds, an addition in order, messages back.
  virtual void all_reduce(float* values, std::size_t n, Order order, Stream stream) = 0;
  /// `mine` gets the part partition(n, size(), rank()).
  virtual void reduce_scatter(const float* values, std::size_t n, float* mine, Order order, Stream stream) = 0;
  /// Error(temporary) where something has gone wrong since the last call; never waits.
  virtual void check() = 0;
  /// Ends whatever is under way, here and on the other ranks. For a watchdog; from any thread.
  virtual void abort() = 0;
};

/// Bytes that all ranks of an NCCL communicator share; made by one of them.
using NcclId = std::array<std::byte, 128>;

/// Why NCCL cannot be used here; empty where it can be opened. Says nothing about GPUs.
std::string nccl_obstacle();

/// Collective over `ranks`, whose first rank's id goes to all of them. `device`: this rank's GPU on its machine (NCCL
/// refuses two ranks on one). `deadline`: seconds that a call may take to get started on all ranks.
std::unique_ptr<DeviceCommunicator> open_nccl(const Communicator& ranks, int device, double deadline);
/// Without MPI: the id goes through a store, under a name that no other communicator of this start uses.
std::unique_ptr<DeviceCommunicator> open_nccl(TcpStore& store, const std::string& name, int rank, int ranks, int device,
                                              double deadline);

/// What the module offers under the symbol `zonda_nccl_module`.
struct NcclModule {
  NcclId (*make_id)();
  std::unique_ptr<DeviceCommunicator> (*open)(const NcclId& id, int rank, int ranks, int device, double deadline);
};

}  // namespace zonda::parallel
