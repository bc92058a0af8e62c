#include "core/philox.hpp"

#include <cmath>

#include "core/constants.hpp"

namespace zonda {
namespace {

/// FNV-1a, 64 bits: turns a purpose into a stream number.
std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

double unit_interval(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (static_cast<std::uint64_t>(high) << 32) | low;
  return (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t m0 = 0xD2511F53, m1 = 0xCD9E8D57;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = m0 * counter[0], p1 = m1 * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

Philox::Philox(std::uint64_t seed, std::string_view purpose) {
  const std::uint64_t stream = fnv1a(purpose);
  key_ = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  stream_ = {static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)};
}

std::array<std::uint32_t, 4> Philox::bits(std::uint64_t index) const {
  return philox4x32(
      {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), stream_[0], stream_[1]}, key_);
}

double Philox::uniform(std::uint64_t index) const {
  const auto r = bits(index);
  return unit_interval(r[0], r[1]);
}

double Philox::normal(std::uint64_t index) const {
  const auto r = bits(index);
  return std::sqrt(-2 * std::log(unit_interval(r[0], r[1]))) * std::cos(2 * constants::pi * unit_interval(r[2], r[3]));
}

std::uint64_t Philox::integer(std::uint64_t index, std::uint64_t n) const {
  const auto r = bits(index);
  const std::uint64_t x = (static_cast<std::uint64_t>(r[0]) << 32) | r[1];
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(x) * n) >> 64);
}

}  // namespace zonda
