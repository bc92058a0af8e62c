#pragma once
// One chunk of an archive file: floats, split into byte planes (HDF5's shuffle filter), packed by zstd (HDF5 filter
// 32015).
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace zonda::ingest {

/// Byte k of element i goes to `planes[k * elements + first + i]`: the layout of HDF5's shuffle filter for 4-byte
/// elements, for a part of a chunk of `elements` elements.
void shuffle(std::span<const float> values, std::size_t first, std::size_t elements, std::span<std::byte> planes);
/// The inverse for elements [first, first + values.size()).
void unshuffle(std::span<const std::byte> planes, std::size_t first, std::size_t elements, std::span<float> values);

/// One zstd frame with its content size, as HDF5's registered filter writes it. Thread safe; the same bytes on every
/// machine with the same zstd. Throws Error(failure).
std::vector<std::byte> zstd_compress(std::span<const std::byte> data, int level);
/// Exactly `out.size()` bytes; false if the frame is damaged or of another size. Thread safe.
bool zstd_decompress(std::span<const std::byte> frame, std::span<std::byte> out);

}  // namespace zonda::ingest
