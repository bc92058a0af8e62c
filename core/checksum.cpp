#include "core/checksum.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <vector>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include "core/error.hpp"

namespace zonda {
namespace {

constexpr std::uint32_t crc32c_polynomial = 0x82F63B78U;  // the highest power in the lowest bit

constexpr std::array<std::uint32_t, 256> make_crc32c_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) ? crc32c_polynomial : 0);
    table[i] = c;
  }
  return table;
}

std::uint32_t crc32c_table(const unsigned char* p, std::size_t n, std::uint32_t crc) {
  static constexpr auto table = make_crc32c_table();
  for (std::size_t i = 0; i < n; ++i) crc = (crc >> 8) ^ table[(crc ^ p[i]) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_hardware(const unsigned char* p, std::size_t n,
                                                                std::uint32_t crc) {
  std::uint64_t c = crc;
  for (; n >= 8; p += 8, n -= 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    c = _mm_crc32_u64(c, word);
  }
  for (; n > 0; ++p, --n) c = _mm_crc32_u8(static_cast<std::uint32_t>(c), *p);
  return static_cast<std::uint32_t>(c);
}
#endif

/// Of polynomials over GF(2) modulo that of CRC-32C.
std::uint32_t times(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 0x80000000U; bit != 0; bit >>= 1) {
    if (a & bit) product ^= b;
    b = (b & 1) ? (b >> 1) ^ crc32c_polynomial : b >> 1;
  }
  return product;
}

/// x to the power of 8 n.
std::uint32_t shift_by_bytes(std::uint64_t n) {
  std::uint32_t power = 0x00800000U, result = 0x80000000U;  // x^8, 1
  for (; n > 0; n >>= 1) {
    if (n & 1) result = times(result, power);
    power = times(power, power);
  }
  return result;
}

std::string hexadecimal(const std::array<unsigned char, crypto_hash_sha256_BYTES>& digest) {
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

void hash_file(crypto_hash_sha256_state& state, const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(ErrorKind::data, "{}: cannot be read", path.string());
  std::vector<char> buffer(1 << 20);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0) {
    crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(buffer.data()),
                              static_cast<unsigned long long>(in.gcount()));
  }
  if (in.bad()) fail(ErrorKind::data, "{}: reading failed", path.string());
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t seed) {
  const auto* p = reinterpret_cast<const unsigned char*>(data.data());
#if defined(__x86_64__)
  static const bool hardware = __builtin_cpu_supports("sse4.2");
  if (hardware) return ~crc32c_hardware(p, data.size(), ~seed);
#endif
  return ~crc32c_table(p, data.size(), ~seed);
}

std::uint32_t crc32c_joined(std::uint32_t first, std::uint32_t second, std::uint64_t second_bytes) {
  return times(shift_by_bytes(second_bytes), first) ^ second;
}

std::string sha256(std::span<const std::byte> data) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest;
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(data.data()), data.size());
  return hexadecimal(digest);
}

std::string sha256(std::string_view text) {
  return sha256(std::as_bytes(std::span(text.data(), text.size())));
}

std::string sha256_file(const std::filesystem::path& path) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  if (std::filesystem::is_directory(path)) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(path).generic_string());
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(name.c_str()), name.size() + 1);
      hash_file(state, path / name);
    }
  } else {
    hash_file(state, path);
  }
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest;
  crypto_hash_sha256_final(&state, digest.data());
  return hexadecimal(digest);
}

Sha256::Sha256() {
  static_assert(sizeof(State) >= sizeof(crypto_hash_sha256_state));
  crypto_hash_sha256_init(reinterpret_cast<crypto_hash_sha256_state*>(&state_));
}

void Sha256::add(std::span<const std::byte> data) {
  crypto_hash_sha256_update(reinterpret_cast<crypto_hash_sha256_state*>(&state_),
                            reinterpret_cast<const unsigned char*>(data.data()), data.size());
}

std::string Sha256::hexadecimal() const {
  State copy = state_;
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest;
  crypto_hash_sha256_final(reinterpret_cast<crypto_hash_sha256_state*>(&copy), digest.data());
  return zonda::hexadecimal(digest);
}

}  // namespace zonda
