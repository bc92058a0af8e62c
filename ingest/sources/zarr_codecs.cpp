#include "ingest/sources/zarr_codecs.hpp"

#include <blosc.h>
#include <lz4.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/error.hpp"

namespace zonda::ingest {
namespace {

using Bytes = std::vector<std::byte>;
using Kind = ZarrCodec::Kind;

const std::vector<std::string>& known_codecs() {
  static const std::vector<std::string> known{
      "blosc", "zstd",    "zlib",     "gzip",    "lz4", "shuffle", "delta", "astype", "fixedscaleoffset",
      "crc32", "adler32", "bitround", "quantize"};
  return known;
}

[[noreturn]] void failed(const char* codec, std::string_view why) {
  fail(ErrorKind::data, "{} data are damaged: {}", codec, why);
}

Bytes decode_blosc(const Bytes& in, std::size_t limit) {
  std::size_t size = 0;
  if (blosc_cbuffer_validate(in.data(), in.size(), &size) != 0) failed("blosc", "the header does not fit the length");
  if (size > limit) failed("blosc", "more values than the chunk has");
  Bytes out(size);
  if (size == 0) return out;
  const int got = blosc_decompress_ctx(in.data(), out.data(), out.size(), 1);
  if (got < 0 || static_cast<std::size_t>(got) != size) {
    const char* library = blosc_cbuffer_complib(in.data());
    failed("blosc", std::string("decompression failed, inner codec ") + (library == nullptr ? "unknown" : library));
  }
  return out;
}

Bytes decode_zstd(const Bytes& in, std::size_t limit) {
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  Bytes out(std::max<std::size_t>(limit, 1));
  ZSTD_inBuffer from{in.data(), in.size(), 0};
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  while (from.pos < from.size) {
    const std::size_t before = from.pos, written = to.pos;
    const std::size_t left = ZSTD_decompressStream(context.get(), &to, &from);
    if (ZSTD_isError(left)) failed("zstd", ZSTD_getErrorName(left));
    if (from.pos == before && to.pos == written) failed("zstd", "more values than the chunk has");
    if (left != 0 && from.pos == from.size && to.pos == written) failed("zstd", "the data end early");
  }
  out.resize(to.pos);
  return out;
}

/// zlib and gzip streams alike.
Bytes decode_deflate(const char* codec, const Bytes& in, std::size_t limit) {
  Bytes out(limit);
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 32) != Z_OK) failed(codec, "no memory");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data()));
  stream.avail_in = static_cast<uInt>(std::min<std::size_t>(in.size(), std::numeric_limits<uInt>::max()));
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(std::min<std::size_t>(out.size(), std::numeric_limits<uInt>::max()));
  const int status = inflate(&stream, Z_FINISH);
  const std::size_t size = stream.total_out;
  inflateEnd(&stream);
  if (status != Z_STREAM_END)
    failed(codec, status == Z_BUF_ERROR ? "the data end early or are too many" : "not a valid stream");
  out.resize(size);
  return out;
}

/// numcodecs: the decoded length as a little-endian 32-bit number, then one LZ4 block.
Bytes decode_lz4(const Bytes& in, std::size_t limit) {
  if (in.size() < 4) failed("lz4", "the length is missing");
  const ZarrElement number{ElementType::uint32, false, false, false, 0};
  const auto size = static_cast<std::size_t>(zarr_element(in, number, 0));
  if (size > limit || size > LZ4_MAX_INPUT_SIZE || in.size() - 4 > LZ4_MAX_INPUT_SIZE) {
    failed("lz4", "more values than the chunk has");
  }
  Bytes out(size);
  const int got = LZ4_decompress_safe(reinterpret_cast<const char*>(in.data() + 4), reinterpret_cast<char*>(out.data()),
                                      static_cast<int>(in.size() - 4), static_cast<int>(size));
  if (got < 0 || static_cast<std::size_t>(got) != size) failed("lz4", "not a valid block");
  return out;
}

Bytes decode_shuffle(const Bytes& in, std::size_t element_size) {
  Bytes out(in.size());
  const std::size_t n = in.size() / element_size;
  for (std::size_t b = 0; b < element_size; ++b) {
    for (std::size_t i = 0; i < n; ++i) out[i * element_size + b] = in[b * n + i];
  }
  std::copy(in.begin() + static_cast<std::ptrdiff_t>(n * element_size), in.end(),
            out.begin() + static_cast<std::ptrdiff_t>(n * element_size));
  return out;
}

template <class T>
void store(double value, bool swap, std::byte* target) {
  if constexpr (std::is_integral_v<T>) {
    const auto low = static_cast<double>(std::numeric_limits<T>::min());
    const auto high = static_cast<double>(std::numeric_limits<T>::max());
    if (!(value >= low && value <= high) || value >= std::ldexp(1.0, std::numeric_limits<T>::digits)) value = 0;
  }
  const T typed = static_cast<T>(value);
  unsigned char raw[sizeof(T)];
  std::memcpy(raw, &typed, sizeof(T));
  if (swap) std::reverse(raw, raw + sizeof(T));
  std::memcpy(target, raw, sizeof(T));
}

void store_element(double value, const ZarrElement& element, std::byte* target) {
  using enum ElementType;
  const bool swap = element.big_endian != (std::endian::native == std::endian::big);
  switch (element.type) {
    case int8:
      return store<std::int8_t>(value, swap, target);
    case uint8:
      return store<std::uint8_t>(value, swap, target);
    case int16:
      return store<std::int16_t>(value, swap, target);
    case uint16:
      return store<std::uint16_t>(value, swap, target);
    case int32:
      return store<std::int32_t>(value, swap, target);
    case uint32:
      return store<std::uint32_t>(value, swap, target);
    case int64:
      return store<std::int64_t>(value, swap, target);
    case uint64:
      return store<std::uint64_t>(value, swap, target);
    case float32:
      return store<float>(value, swap, target);
    case float64:
      return store<double>(value, swap, target);
    case other:
      return;
  }
}

/// Sums in 64-bit integers, which wrap as NumPy's do once cut to the element's width.
std::int64_t integer_element(const Bytes& in, const ZarrElement& element, std::size_t index) {
  const std::size_t width = size_of(element.type);
  std::uint64_t raw = 0;
  for (std::size_t b = 0; b < width; ++b) {
    const std::size_t at = index * width + (element.big_endian ? b : width - 1 - b);
    raw = raw << 8 | std::to_integer<std::uint64_t>(in[at]);
  }
  using enum ElementType;
  const bool is_signed =
      element.type == int8 || element.type == int16 || element.type == int32 || element.type == int64;
  if (is_signed && width < 8 && (raw >> (8 * width - 1)) != 0) raw |= ~std::uint64_t{0} << (8 * width);
  return static_cast<std::int64_t>(raw);
}

Bytes decode_delta(const Bytes& in, const ZarrCodec& codec) {
  const std::size_t from = size_of(codec.encoded.type), to = size_of(codec.decoded.type);
  const std::size_t n = in.size() / from;
  Bytes out(n * to);
  if (is_integer(codec.encoded.type) && is_integer(codec.decoded.type)) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      sum += static_cast<std::uint64_t>(integer_element(in, codec.encoded, i));
      for (std::size_t b = 0; b < to; ++b) {
        const std::size_t at = i * to + (codec.decoded.big_endian ? to - 1 - b : b);
        out[at] = static_cast<std::byte>(sum >> (8 * b) & 0xFF);
      }
    }
    return out;
  }
  // np.cumsum rounds to the element's type at each step.
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    sum += zarr_element(in, codec.encoded, i);
    if (codec.decoded.type == ElementType::float32) sum = static_cast<double>(static_cast<float>(sum));
    store_element(sum, codec.decoded, out.data() + i * to);
  }
  return out;
}

Bytes decode_elements(const Bytes& in, const ZarrCodec& codec) {
  const std::size_t from = size_of(codec.encoded.type), to = size_of(codec.decoded.type);
  const std::size_t n = in.size() / from;
  Bytes out(n * to);
  for (std::size_t i = 0; i < n; ++i) {
    double value = zarr_element(in, codec.encoded, i);
    if (codec.kind == Kind::fixed_scale_offset) value = value / codec.scale + codec.offset;
    store_element(value, codec.decoded, out.data() + i * to);
  }
  return out;
}

ZarrElement element_of(const nlohmann::json& configuration, const char* key, const ZarrElement* otherwise,
                       const std::string& id) {
  const auto found = configuration.find(key);
  if (found == configuration.end() || found->is_null()) {
    if (otherwise != nullptr) return *otherwise;
    fail(ErrorKind::data, "filter '{}' has no '{}'", id, key);
  }
  const ZarrElement element = found->is_string() ? parse_zarr_type(found->get<std::string>()) : ZarrElement{};
  if (element.type == ElementType::other) fail(ErrorKind::data, "filter '{}' has an unknown '{}'", id, key);
  return element;
}

}  // namespace

ZarrCodec parse_zarr_codec(const nlohmann::json& configuration) {
  if (!configuration.is_object() || !configuration.contains("id") || !configuration["id"].is_string()) {
    fail(ErrorKind::data, "a compressor or filter without an 'id'");
  }
  ZarrCodec codec;
  const auto id = configuration["id"].get<std::string>();
  codec.id = id;
  const auto number = [&](const char* key) {
    if (!configuration.contains(key) || !configuration[key].is_number())
      fail(ErrorKind::data, "filter '{}' has no number '{}'", id, key);
    return configuration[key].get<double>();
  };
  if (id == "blosc") {
    codec.kind = Kind::blosc;
  } else if (id == "zstd") {
    codec.kind = Kind::zstd;
  } else if (id == "zlib") {
    codec.kind = Kind::zlib;
  } else if (id == "gzip") {
    codec.kind = Kind::gzip;
  } else if (id == "lz4") {
    codec.kind = Kind::lz4;
  } else if (id == "shuffle") {
    codec.kind = Kind::shuffle;
    const double size = configuration.contains("elementsize") ? number("elementsize") : 4;
    if (!(size >= 1 && size <= 256)) fail(ErrorKind::data, "filter 'shuffle' has elementsize {}", size);
    codec.element_size = static_cast<std::size_t>(size);
  } else if (id == "delta" || id == "fixedscaleoffset") {
    codec.kind = id == "delta" ? Kind::delta : Kind::fixed_scale_offset;
    codec.decoded = element_of(configuration, "dtype", nullptr, id);
    codec.encoded = element_of(configuration, "astype", &codec.decoded, id);
    if (id == "fixedscaleoffset") {
      codec.scale = number("scale");
      codec.offset = number("offset");
    }
  } else if (id == "astype") {
    codec.kind = Kind::as_type;
    codec.decoded = element_of(configuration, "decode_dtype", nullptr, id);
    codec.encoded = element_of(configuration, "encode_dtype", nullptr, id);
  } else if (id == "bitround" || id == "quantize") {
    codec.kind = Kind::unchanged;
  } else if (id == "crc32" || id == "adler32") {
    codec.kind = Kind::checksum;
  } else {
    throw Error(ErrorKind::data, unknown_word("compressor or filter", id, known_codecs()));
  }
  return codec;
}

std::vector<std::byte> decode_zarr_chunk(std::vector<std::byte> encoded, std::span<const ZarrCodec> codecs,
                                         std::size_t expected) {
  // A filter may widen or narrow elements (1 to 8 bytes), compressors may add a header.
  const std::size_t limit = codecs.size() <= 1 ? expected : 8 * expected + 4096;
  for (const ZarrCodec& codec : codecs) {
    switch (codec.kind) {
      case Kind::blosc:
        encoded = decode_blosc(encoded, limit);
        break;
      case Kind::zstd:
        encoded = decode_zstd(encoded, limit);
        break;
      case Kind::zlib:
        encoded = decode_deflate("zlib", encoded, limit);
        break;
      case Kind::gzip:
        encoded = decode_deflate("gzip", encoded, limit);
        break;
      case Kind::lz4:
        encoded = decode_lz4(encoded, limit);
        break;
      case Kind::shuffle:
        encoded = decode_shuffle(encoded, codec.element_size);
        break;
      case Kind::delta:
        encoded = decode_delta(encoded, codec);
        break;
      case Kind::fixed_scale_offset:
      case Kind::as_type:
        encoded = decode_elements(encoded, codec);
        break;
      case Kind::unchanged:
        break;
      case Kind::checksum: {
        if (encoded.size() < 4) failed(codec.id.c_str(), "the checksum is missing");
        const auto* data = reinterpret_cast<const Bytef*>(encoded.data() + 4);
        const std::size_t n = encoded.size() - 4;
        const auto stored = static_cast<uLong>(zarr_element(encoded, {ElementType::uint32, false, false, false, 0}, 0));
        const uLong found =
            codec.id == "crc32" ? crc32_z(crc32(0, nullptr, 0), data, n) : adler32_z(adler32(0, nullptr, 0), data, n);
        if (stored != found) failed(codec.id.c_str(), "the checksum differs");
        encoded.erase(encoded.begin(), encoded.begin() + 4);
        break;
      }
    }
    if (encoded.size() > limit) failed(codec.id.c_str(), "more values than the chunk has");
  }
  if (encoded.size() != expected)
    fail(ErrorKind::data, "{} bytes where the chunk's shape asks for {}", encoded.size(), expected);
  return encoded;
}

}  // namespace zonda::ingest
