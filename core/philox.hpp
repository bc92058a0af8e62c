#pragma once
// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
// A number depends only on (seed, purpose, index): the same on any number of ranks and threads.
#include <array>
#include <cstdint>
#include <string_view>

namespace zonda {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

class Philox {
 public:
  /// `purpose` separates streams: "initial weights", "sampler", "noise".
  Philox(std::uint64_t seed, std::string_view purpose);
  std::array<std::uint32_t, 4> bits(std::uint64_t index) const;
  /// In (0, 1), 53 bits.
  double uniform(std::uint64_t index) const;
  /// Standard normal (Box-Muller).
  double normal(std::uint64_t index) const;
  /// In [0, n), unbiased to 2^-64.
  std::uint64_t integer(std::uint64_t index, std::uint64_t n) const;

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 2> stream_;
};

}  // namespace zonda
