#pragma once
// Moments of each channel at each time, kept beside the journal: statistics of any period are merged from them, in a
// fixed order, without reading fields again.
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace zonda::ingest {

/// Over the points of one field that are not filled. `m2`: sum of squared deviations from the mean (Chan et al. 1979).
struct Moments {
  double count = 0, mean = 0, m2 = 0, minimum = 0, maximum = 0;
  friend bool operator==(const Moments&, const Moments&) = default;
};
static_assert(sizeof(Moments) == 5 * sizeof(double));

/// Of one field; points equal to `fill` do not count. The same bits on every machine.
Moments moments_of(std::span<const float> field, std::optional<float> fill);

/// `moments [time, channel]` of a unit. Atomic; returns the file's CRC-32C. Throws Error(failure).
std::uint32_t write_moments(const std::filesystem::path& path, std::span<const Moments> moments);
/// Throws Error(data) naming the file if it has another size or checksum.
std::vector<Moments> read_moments(const std::filesystem::path& path, std::size_t times, std::size_t channels,
                                  std::uint32_t crc32c);

/// Sum and sum of squares of `after - before` over the points where not both are `fill`, and their number.
struct DifferenceSums {
  double count = 0, sum = 0, squares = 0;
};
DifferenceSums difference_sums(std::span<const float> before, std::span<const float> after, std::optional<float> fill);

}  // namespace zonda::ingest
