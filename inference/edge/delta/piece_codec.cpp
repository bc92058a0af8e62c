#include "inference/edge/delta/piece_codec.hpp"

#include <zstd.h>

#include <bit>
#include <memory>

#include "core/error.hpp"

namespace zonda::edge {
namespace {

constexpr int level = 19;
constexpr int window_log = 27;  // a likeness of up to 128 MiB

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

std::uint32_t number_at(std::string_view bytes, std::size_t index, std::size_t width) {
  std::uint32_t number = 0;
  for (std::size_t b = 0; b < width; ++b)
    number |= std::uint32_t{static_cast<unsigned char>(bytes[index * width + b])} << (8 * b);
  return number;
}

/// Small differences of either sign become small numbers: 0, -1, 1, -2 -> 0, 1, 2, 3.
std::uint32_t zigzag(std::uint32_t difference, std::size_t width) {
  const int shift = 32 - static_cast<int>(8 * width);
  const auto wide = static_cast<std::int32_t>(difference << shift) >> shift;
  return (static_cast<std::uint32_t>(wide) << 1) ^ static_cast<std::uint32_t>(wide >> 31);
}
std::uint32_t unzigzag(std::uint32_t number) {
  return (number >> 1) ^ (~(number & 1) + 1);
}

}  // namespace

std::string encode_difference(std::string_view from, std::string_view to, std::size_t width) {
  const std::size_t count = to.size() / width;
  std::string planes(to.size(), '\0');
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t number = zigzag(number_at(to, i, width) - number_at(from, i, width), width);
    for (std::size_t b = 0; b < width; ++b) planes[b * count + i] = static_cast<char>(number >> (8 * b));
  }
  return encode_text({}, planes);
}

std::string decode_difference(std::string_view from, std::string_view frame, std::size_t width,
                              const std::string& name) {
  const std::string planes = decode_text({}, frame, from.size(), name);
  const std::size_t count = from.size() / width;
  std::string to(from.size(), '\0');
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t number = 0;
    for (std::size_t b = 0; b < width; ++b)
      number |= std::uint32_t{static_cast<unsigned char>(planes[b * count + i])} << (8 * b);
    const std::uint32_t value = number_at(from, i, width) + unzigzag(number);
    for (std::size_t b = 0; b < width; ++b) to[i * width + b] = static_cast<char>(value >> (8 * b));
  }
  return to;
}

std::string encode_text(std::string_view likeness, std::string_view text) {
  const std::unique_ptr<ZSTD_CCtx, FreeCompressor> context(ZSTD_createCCtx());
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  if (!likeness.empty()) {
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, window_log);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_enableLongDistanceMatching, 1);
    ZSTD_CCtx_refPrefix(context.get(), likeness.data(), likeness.size());
  }
  std::string frame(ZSTD_compressBound(text.size()), '\0');
  const std::size_t size = ZSTD_compress2(context.get(), frame.data(), frame.size(), text.data(), text.size());
  if (ZSTD_isError(size) != 0U) fail(ErrorKind::failure, "zstd: {}", ZSTD_getErrorName(size));
  frame.resize(size);
  return frame;
}

std::string decode_text_up_to(std::string_view frame, std::size_t most, const std::string& name) {
  const unsigned long long bytes = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (bytes > most) fail(ErrorKind::data, "{}: a header of more than {} bytes", name, most);
  return decode_text({}, frame, static_cast<std::size_t>(bytes), name);
}

std::string decode_text(std::string_view likeness, std::string_view frame, std::size_t bytes, const std::string& name) {
  if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != bytes)
    fail(ErrorKind::data, "{}: a piece is not of its length", name);
  const std::unique_ptr<ZSTD_DCtx, FreeDecompressor> context(ZSTD_createDCtx());
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, window_log);
  if (!likeness.empty()) ZSTD_DCtx_refPrefix(context.get(), likeness.data(), likeness.size());
  std::string text(bytes, '\0');
  const std::size_t size = ZSTD_decompressDCtx(context.get(), text.data(), text.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) != 0U || size != bytes) fail(ErrorKind::data, "{}: a piece is damaged", name);
  return text;
}

}  // namespace zonda::edge
