#include "ingest/archive/bit_rounding.hpp"

#include <bit>
#include <cstdint>

#include "core/error.hpp"
#include "core/vectorise.hpp"

namespace zonda::ingest {
namespace {

constexpr std::uint32_t kExponent = 0x7F800000U;

ZONDA_CLONES void round_words(float* values, std::size_t n, int drop) {
  const std::uint32_t half = (1U << (drop - 1)) - 1U;
  const std::uint32_t mask = ~((1U << drop) - 1U);
  for (std::size_t i = 0; i < n; ++i) {
    const auto word = std::bit_cast<std::uint32_t>(values[i]);
    const std::uint32_t nearest = (word + half + ((word >> drop) & 1U)) & mask;
    const bool special = (word & kExponent) == kExponent;
    const bool overflows = (nearest & kExponent) == kExponent;
    values[i] = std::bit_cast<float>(special ? word : (overflows ? (word & mask) : nearest));
  }
}

}  // namespace

void round_mantissa(std::span<float> values, int kept_bits) {
  if (kept_bits < 1 || kept_bits > 23) fail(ErrorKind::usage, "kept mantissa bits: {} is outside 1 to 23", kept_bits);
  if (kept_bits < 23) round_words(values.data(), values.size(), 23 - kept_bits);
}

}  // namespace zonda::ingest
