// The module: NCCL in its non-blocking mode. Every call returns at once with "in progress" and is then looked at until
// it is under way on all ranks or the deadline has passed; a communicator that misses it is aborted, never waited for.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "parallel/nccl/device_communicator.hpp"
#include "parallel/nccl/ordered_sum.hpp"
#include "parallel/partition.hpp"

namespace zonda::parallel {
namespace {

static_assert(sizeof(ncclUniqueId) == sizeof(NcclId));

void check_cuda(cudaError_t code, const char* call) {
  if (code != cudaSuccess) fail(ErrorKind::temporary, "{}: {}", call, cudaGetErrorString(code));
}

/// Device memory for the length of some work on a stream.
class Scratch {
 public:
  Scratch(std::size_t bytes, cudaStream_t stream) : stream_(stream) {
    if (bytes > 0) check_cuda(cudaMallocAsync(&data_, bytes, stream), "cudaMallocAsync");
  }
  ~Scratch() {
    if (data_ != nullptr) cudaFreeAsync(data_, stream_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  float* values() const { return static_cast<float*>(data_); }

 private:
  cudaStream_t stream_;
  void* data_ = nullptr;
};

class NcclCommunicator : public DeviceCommunicator {
 public:
  NcclCommunicator(const NcclId& id, int rank, int ranks, int device, double deadline)
      : rank_(rank), ranks_(ranks), deadline_(deadline) {
    check_cuda(cudaSetDevice(device), "cudaSetDevice");
    ncclUniqueId unique;
    std::memcpy(&unique, id.data(), id.size());
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    settle(ncclCommInitRankConfig(&communicator_, ranks, unique, rank, &config), "ncclCommInitRankConfig");
  }

  ~NcclCommunicator() override {
    const std::scoped_lock lock(mutex_);
    if (communicator_ == nullptr) return;
    // Destroying waits for all ranks; one that left through an exception would keep the others.
    if (broken_ || std::uncaught_exceptions() > 0 || ncclCommFinalize(communicator_) > ncclInProgress || !idle())
      ncclCommAbort(communicator_);
    else
      ncclCommDestroy(communicator_);
  }

  int rank() const override { return rank_; }
  int size() const override { return ranks_; }

  void broadcast(void* data, std::size_t bytes, int root, Stream stream) override {
    run("ncclBroadcast",
        [&] { return ncclBroadcast(data, data, bytes, ncclUint8, root, communicator_, cuda(stream)); });
  }

  void all_gather(const void* mine, void* all, std::span<const std::size_t> offset, Stream stream) override {
    const auto part = [&](int r) { return Part{offset[at(r)], offset[at(r) + 1] - offset[at(r)]}; };
    auto* bytes = static_cast<std::byte*>(all);
    const Part own = part(rank_);
    if (own.size > 0 && bytes + own.begin != mine)
      check_cuda(cudaMemcpyAsync(bytes + own.begin, mine, own.size, cudaMemcpyDeviceToDevice, cuda(stream)),
                 "cudaMemcpyAsync");
    exchange([&](int) { return std::pair(static_cast<const std::byte*>(mine), own.size); },
             [&](int r) { return std::pair(bytes + part(r).begin, part(r).size); }, stream);
  }

  void all_to_all(const void* send, std::span<const std::size_t> send_offset, void* receive,
                  std::span<const std::size_t> receive_offset, Stream stream) override {
    const auto* from = static_cast<const std::byte*>(send);
    auto* to = static_cast<std::byte*>(receive);
    const std::size_t kept = send_offset[at(rank_) + 1] - send_offset[at(rank_)];
    if (kept > 0)
      check_cuda(cudaMemcpyAsync(to + receive_offset[at(rank_)], from + send_offset[at(rank_)], kept,
                                 cudaMemcpyDeviceToDevice, cuda(stream)),
                 "cudaMemcpyAsync");
    exchange(
        [&](int r) { return std::pair(from + send_offset[at(r)], send_offset[at(r) + 1] - send_offset[at(r)]); },
        [&](int r) { return std::pair(to + receive_offset[at(r)], receive_offset[at(r) + 1] - receive_offset[at(r)]); },
        stream);
  }

  void all_reduce(float* values, std::size_t n, Order order, Stream stream) override {
    if (order == Order::any) {
      run("ncclAllReduce",
          [&] { return ncclAllReduce(values, values, n, ncclFloat32, ncclSum, communicator_, cuda(stream)); });
      return;
    }
    const Range own = share(n, rank_);
    sum_in_order(values, n, values + own.begin, stream);
    std::vector<std::size_t> offset{0};
    for (int r = 0; r < ranks_; ++r) offset.push_back(share(n, r).end * sizeof(float));
    all_gather(values + own.begin, values, offset, stream);
  }

  void reduce_scatter(const float* values, std::size_t n, float* mine, Order order, Stream stream) override {
    // NCCL's own wants equal parts.
    if (order == Order::any && n % static_cast<std::size_t>(ranks_) == 0)
      run("ncclReduceScatter", [&] {
        return ncclReduceScatter(values, mine, share(n, rank_).size(), ncclFloat32, ncclSum, communicator_,
                                 cuda(stream));
      });
    else
      sum_in_order(values, n, mine, stream);
  }

  void check() override {
    const std::scoped_lock lock(mutex_);
    require_whole();
    ncclResult_t state = ncclSuccess;
    if (ncclCommGetAsyncError(communicator_, &state) != ncclSuccess || state > ncclInProgress)
      break_down("a collective", state);
  }

  /// A thread inside a call sees the flag and ends the communicator itself.
  void abort() override {
    if (broken_.exchange(true)) return;
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock) end();
  }

 private:
  using clock = std::chrono::steady_clock;
  struct Part {
    std::size_t begin, size;
  };
  static cudaStream_t cuda(Stream stream) { return static_cast<cudaStream_t>(stream); }
  static std::size_t at(int r) { return static_cast<std::size_t>(r); }
  Range share(std::size_t n, int r) const { return partition(n, at(ranks_), at(r)); }

  /// With the mutex held, or before anybody else knows of this.
  void end() {
    broken_ = true;
    if (communicator_ != nullptr) ncclCommAbort(std::exchange(communicator_, nullptr));
  }

  void require_whole() {
    if (!broken_) return;
    end();
    fail(ErrorKind::temporary, "NCCL, rank {} of {}: aborted", rank_, ranks_);
  }

  [[noreturn]] void break_down(const char* call, ncclResult_t result) {
    const std::string why = result > ncclInProgress ? ncclGetErrorString(result) : "not all ranks have come in time";
    end();
    fail(ErrorKind::temporary, "{}, rank {} of {}: {}", call, rank_, ranks_, why);
  }

  /// Looks until the call is under way.
  void settle(ncclResult_t result, const char* call) {
    const auto end = clock::now() + std::chrono::duration<double>(deadline_);
    for (int looks = 0; result == ncclInProgress; ++looks) {
      require_whole();
      if (clock::now() > end) break_down(call, result);
      if (looks < 1000)
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      if (const ncclResult_t asked = ncclCommGetAsyncError(communicator_, &result); asked != ncclSuccess)
        result = asked;
    }
    if (result != ncclSuccess) break_down(call, result);
  }

  bool idle() {
    try {
      settle(ncclInProgress, "ncclCommFinalize");
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  template <class Call>
  void run(const char* name, Call call) {
    const std::scoped_lock lock(mutex_);
    require_whole();
    settle(call(), name);
  }

  /// Messages to and from every other rank, as one group; empty ones are not sent.
  template <class To, class From>
  void exchange(To to, From from, Stream stream) {
    run("ncclSend/ncclRecv", [&] {
      ncclResult_t worst = ncclGroupStart();
      const auto note = [&](ncclResult_t result) {
        if (result > ncclInProgress) worst = result;
      };
      for (int shift = 1; shift < ranks_; ++shift) {
        const int next = (rank_ + shift) % ranks_, before = (rank_ + ranks_ - shift) % ranks_;
        const auto [out, out_bytes] = to(next);
        const auto [in, in_bytes] = from(before);
        if (out_bytes > 0) note(ncclSend(out, out_bytes, ncclUint8, next, communicator_, cuda(stream)));
        if (in_bytes > 0) note(ncclRecv(in, in_bytes, ncclUint8, before, communicator_, cuda(stream)));
      }
      const ncclResult_t ended = ncclGroupEnd();
      return worst > ncclInProgress ? worst : ended;
    });
  }

  /// This rank's part of the sum, added rank by rank.
  void sum_in_order(const float* values, std::size_t n, float* mine, Stream stream) {
    const Range own = share(n, rank_);
    const Scratch parts(at(ranks_) * own.size() * sizeof(float), cuda(stream));
    std::vector<std::size_t> send{0}, receive{0};
    for (int r = 0; r < ranks_; ++r) {
      send.push_back(share(n, r).end * sizeof(float));
      receive.push_back(receive.back() + own.size() * sizeof(float));
    }
    all_to_all(values, send, parts.values(), receive, stream);
    check_cuda(ordered_sum(parts.values(), at(ranks_), own.size(), mine, cuda(stream)), "ordered_sum");
  }

  int rank_, ranks_;
  double deadline_;
  std::mutex mutex_;
  std::atomic<bool> broken_ = false;
  ncclComm_t communicator_ = nullptr;
};

NcclId make_id() {
  ncclUniqueId unique;
  if (const ncclResult_t result = ncclGetUniqueId(&unique); result != ncclSuccess)
    fail(ErrorKind::temporary, "ncclGetUniqueId: {}", ncclGetErrorString(result));
  NcclId id;
  std::memcpy(id.data(), &unique, id.size());
  return id;
}

std::unique_ptr<DeviceCommunicator> open(const NcclId& id, int rank, int ranks, int device, double deadline) {
  return std::make_unique<NcclCommunicator>(id, rank, ranks, device, deadline);
}

constexpr NcclModule offered{make_id, open};

}  // namespace
}  // namespace zonda::parallel

extern "C" const zonda::parallel::NcclModule* zonda_nccl_module() {
  return &zonda::parallel::offered;
}
