#pragma once
// Codecs of Zarr v2 chunks: compressors and filters as numcodecs defines them, decoding only.
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/sources/cf_dataset.hpp"

namespace zonda::ingest {

/// A NumPy type: `<f4`, `>i2`, `|u1`, `|b1`; `<M8[ns]` and `<m8[h]` are int64 with a unit.
struct ZarrElement {
  ElementType type = ElementType::other;
  bool big_endian = false;
  bool is_time = false, is_duration = false;
  double seconds = 0;  ///< of one unit of a time or duration
};
/// `other` for types without numbers (text, objects) or unknown ones.
ZarrElement parse_zarr_type(std::string_view text);

struct ZarrCodec {
  enum class Kind { blosc, zstd, zlib, gzip, lz4, shuffle, delta, fixed_scale_offset, as_type, unchanged, checksum };
  Kind kind = Kind::unchanged;
  std::string id;
  std::size_t element_size = 4;  ///< shuffle
  ZarrElement decoded, encoded;  ///< delta, fixedscaleoffset, astype
  double scale = 1, offset = 0;  ///< fixedscaleoffset: decoded = encoded / scale + offset
};

/// From the JSON object of a compressor or filter. Throws Error(data) naming the codec and the ones that are known.
ZarrCodec parse_zarr_codec(const nlohmann::json& configuration);

/// The bytes of one chunk: `encoded` through `codecs` in order. Exactly `expected` bytes come out; never more than a
/// few times that is allocated. Thread safe. Throws Error(data) naming the codec that failed.
std::vector<std::byte> decode_zarr_chunk(std::vector<std::byte> encoded, std::span<const ZarrCodec> codecs,
                                         std::size_t expected);

/// Elements as stored (either byte order) to double. `bytes` holds a whole number of elements.
void zarr_elements_to_double(std::span<const std::byte> bytes, const ZarrElement& element, std::span<double> values);

/// One element of `bytes` (at `index`), as double.
double zarr_element(std::span<const std::byte> bytes, const ZarrElement& element, std::size_t index);

}  // namespace zonda::ingest
