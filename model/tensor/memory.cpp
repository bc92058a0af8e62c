#include "model/tensor/memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/error.hpp"

namespace zonda::model {

namespace {

class HostMemory : public Memory {
 public:
  Device device() const override { return Device::cpu; }
  void* allocate(std::size_t bytes) override {
    constexpr std::size_t huge = std::size_t{2} << 20;
    const std::size_t alignment = bytes >= huge ? huge : 64;
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void* data = std::aligned_alloc(alignment, rounded);
    if (!data) fail(ErrorKind::failure, "cannot allocate {:.1f} MiB of memory", static_cast<double>(bytes) / 1048576.0);
#ifdef MADV_HUGEPAGE
    // Best effort: a kernel without transparent huge pages serves small ones. What does not fill one takes small ones.
    if (alignment == huge) (void)madvise(data, bytes / huge * huge, MADV_HUGEPAGE);
#endif
    std::memset(data, 0, bytes);  // page faults happen here, not in the first step
    return data;
  }
  void release(void* data, std::size_t) noexcept override {
    std::free(data);
  }
  void fill_bytes(void* data, int byte, std::size_t bytes) override {
    std::memset(data, byte, bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    std::memmove(to, from, bytes);
  }
  void copy_in(void* to, const void* host, std::size_t bytes) override {
    std::memcpy(to, host, bytes);
  }
  void copy_out(void* host, const void* from, std::size_t bytes) override {
    std::memcpy(host, from, bytes);
  }
};

class SparseHostMemory final : public HostMemory {
 public:
  void* allocate(std::size_t bytes) override {
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
      fail(ErrorKind::failure, "cannot reserve {:.1f} MiB of memory", static_cast<double>(bytes) / 1048576.0);
#ifdef MADV_NOHUGEPAGE
    // A huge page would come back whole for a few bytes.
    (void)madvise(data, bytes, MADV_NOHUGEPAGE);
#endif
    return data;
  }
  void release(void* data, std::size_t bytes) noexcept override {
    munmap(data, bytes);
  }
  void discard(void* data, std::size_t bytes) override {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(data), end = begin + bytes;
    const std::uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
    if (first >= last) return fill_bytes(data, 0, bytes);
    std::memset(data, 0, first - begin);
    if (madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) != 0)
      std::memset(reinterpret_cast<void*>(first), 0, last - first);
    std::memset(reinterpret_cast<void*>(last), 0, end - last);
  }
};

}  // namespace

Memory& host_memory() {
  static HostMemory memory;
  return memory;
}

Memory& sparse_host_memory() {
  static SparseHostMemory memory;
  return memory;
}

}  // namespace zonda::model
