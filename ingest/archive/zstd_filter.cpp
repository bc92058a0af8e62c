#include "ingest/archive/zstd_filter.hpp"

#include <hdf5.h>
#include <zstd.h>

#include <cstdlib>
#include <mutex>
#include <new>

#include "core/error.hpp"
#include "ingest/hdf5_lock.hpp"

namespace zonda::ingest {
namespace {

constexpr std::size_t kLargestChunk = std::size_t{4} << 30;  // HDF5's own limit

// HDF5's protocol: returns the number of bytes in *buffer, 0 on failure; the old buffer is freed by whoever replaces
// it.
std::size_t filter(unsigned flags, std::size_t count, const unsigned values[], std::size_t bytes, std::size_t* room,
                   void** buffer) {
  const bool reading = (flags & H5Z_FLAG_REVERSE) != 0;
  const unsigned long long content = reading ? ZSTD_getFrameContentSize(*buffer, bytes) : 0;
  if (reading && content > kLargestChunk) return 0;  // also the two error values
  const std::size_t capacity = reading ? static_cast<std::size_t>(content) : ZSTD_compressBound(bytes);
  void* out = H5allocate_memory(capacity, false);
  if (out == nullptr) return 0;
  const int level = count > 0 ? static_cast<int>(values[0]) : 1;
  const std::size_t size =
      reading ? ZSTD_decompress(out, capacity, *buffer, bytes) : ZSTD_compress(out, capacity, *buffer, bytes, level);
  if (ZSTD_isError(size) != 0U) {
    H5free_memory(out);
    return 0;
  }
  H5free_memory(*buffer);
  *buffer = out;
  *room = capacity;
  return size;
}

}  // namespace

void register_zstd_filter() {
  const Hdf5Lock lock(hdf5_mutex());
  if (H5Zfilter_avail(kZstdFilterId) > 0) return;
  static const H5Z_class2_t description{H5Z_CLASS_T_VERS, kZstdFilterId, 1, 1, "zstd", nullptr, nullptr, filter};
  if (H5Zregister(&description) < 0) fail(ErrorKind::failure, "HDF5 did not accept the zstd filter");
}

}  // namespace zonda::ingest
