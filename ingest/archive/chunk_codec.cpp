#include "ingest/archive/chunk_codec.hpp"

#include <zstd.h>

#include <bit>
#include <memory>

#include "core/error.hpp"
#include "core/vectorise.hpp"

namespace zonda::ingest {
namespace {

static_assert(std::endian::native == std::endian::little, "archive files are little-endian");

ZONDA_CLONES void split(const std::uint32_t* __restrict words, std::size_t n, std::uint8_t* __restrict p0,
                        std::uint8_t* __restrict p1, std::uint8_t* __restrict p2, std::uint8_t* __restrict p3) {
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t word = words[i];
    p0[i] = static_cast<std::uint8_t>(word);
    p1[i] = static_cast<std::uint8_t>(word >> 8);
    p2[i] = static_cast<std::uint8_t>(word >> 16);
    p3[i] = static_cast<std::uint8_t>(word >> 24);
  }
}

ZONDA_CLONES void join(const std::uint8_t* __restrict p0, const std::uint8_t* __restrict p1,
                       const std::uint8_t* __restrict p2, const std::uint8_t* __restrict p3, std::size_t n,
                       std::uint32_t* __restrict words) {
  for (std::size_t i = 0; i < n; ++i) {
    words[i] = static_cast<std::uint32_t>(p0[i]) | (static_cast<std::uint32_t>(p1[i]) << 8) |
               (static_cast<std::uint32_t>(p2[i]) << 16) | (static_cast<std::uint32_t>(p3[i]) << 24);
  }
}

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

void shuffle(std::span<const float> values, std::size_t first, std::size_t elements, std::span<std::byte> planes) {
  auto* p = reinterpret_cast<std::uint8_t*>(planes.data()) + first;
  split(reinterpret_cast<const std::uint32_t*>(values.data()), values.size(), p, p + elements, p + 2 * elements,
        p + 3 * elements);
}

void unshuffle(std::span<const std::byte> planes, std::size_t first, std::size_t elements, std::span<float> values) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(planes.data()) + first;
  join(p, p + elements, p + 2 * elements, p + 3 * elements, values.size(),
       reinterpret_cast<std::uint32_t*>(values.data()));
}

std::vector<std::byte> zstd_compress(std::span<const std::byte> data, int level) {
  // A context keeps its tables between chunks; making one anew for each chunk costs a third of the time.
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeCompressor> context(ZSTD_createCCtx());
  thread_local std::vector<std::byte> room;
  room.resize(ZSTD_compressBound(data.size()));
  const std::size_t size = ZSTD_compressCCtx(context.get(), room.data(), room.size(), data.data(), data.size(), level);
  if (ZSTD_isError(size) != 0U) fail(ErrorKind::failure, "zstd: {}", ZSTD_getErrorName(size));
  return {room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size)};
}

bool zstd_decompress(std::span<const std::byte> frame, std::span<std::byte> out) {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeDecompressor> context(ZSTD_createDCtx());
  if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != out.size()) return false;
  const std::size_t size = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frame.data(), frame.size());
  return ZSTD_isError(size) == 0U && size == out.size();
}

}  // namespace zonda::ingest
