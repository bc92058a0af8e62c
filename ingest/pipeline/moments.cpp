#include "ingest/pipeline/moments.hpp"

#include <array>
#include <cstring>
#include <limits>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/vectorise.hpp"

// Sums run in a fixed number of lanes, joined in a fixed order; the file is compiled without fused multiply-add, so
// that wider vectors change nothing but the speed.
namespace zonda::ingest {
namespace {

constexpr std::size_t kLanes = 16;
using Lanes = std::array<double, kLanes>;

double join(const Lanes& lanes) {
  double total = 0;
  for (const double lane : lanes) total += lane;
  return total;
}

ZONDA_CLONES double sum(const float* x, std::size_t n) {
  Lanes lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) lanes[l] += static_cast<double>(x[i + l]);
  }
  for (; i < n; ++i) lanes[i % kLanes] += static_cast<double>(x[i]);
  return join(lanes);
}

ZONDA_CLONES double squares_about(const float* x, std::size_t n, double mean) {
  Lanes lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      const double d = static_cast<double>(x[i + l]) - mean;
      lanes[l] += d * d;
    }
  }
  for (; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - mean;
    lanes[i % kLanes] += d * d;
  }
  return join(lanes);
}

ZONDA_CLONES void extremes(const float* x, std::size_t n, float& least, float& most) {
  std::array<float, kLanes> low, high;
  low.fill(least);
  high.fill(most);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      low[l] = x[i + l] < low[l] ? x[i + l] : low[l];
      high[l] = x[i + l] > high[l] ? x[i + l] : high[l];
    }
  }
  for (; i < n; ++i) {
    low[0] = x[i] < low[0] ? x[i] : low[0];
    high[0] = x[i] > high[0] ? x[i] : high[0];
  }
  for (std::size_t l = 0; l < kLanes; ++l) {
    least = low[l] < least ? low[l] : least;
    most = high[l] > most ? high[l] : most;
  }
}

ZONDA_CLONES void differences(const float* before, const float* after, std::size_t n, double& total, double& squares) {
  Lanes sums{}, of_squares{};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      const double d = static_cast<double>(after[i + l]) - static_cast<double>(before[i + l]);
      sums[l] += d;
      of_squares[l] += d * d;
    }
  }
  for (; i < n; ++i) {
    const double d = static_cast<double>(after[i]) - static_cast<double>(before[i]);
    sums[i % kLanes] += d;
    of_squares[i % kLanes] += d * d;
  }
  total = join(sums);
  squares = join(of_squares);
}

}  // namespace

Moments moments_of(std::span<const float> field, std::optional<float> fill) {
  std::vector<float> kept;
  if (fill) {
    for (const float value : field) {
      if (value != *fill) kept.push_back(value);
    }
    field = kept;
  }
  if (field.empty()) return {};
  const auto count = static_cast<double>(field.size());
  const double mean = sum(field.data(), field.size()) / count;
  float least = std::numeric_limits<float>::infinity(), most = -least;
  extremes(field.data(), field.size(), least, most);
  return {count, mean, squares_about(field.data(), field.size(), mean), static_cast<double>(least),
          static_cast<double>(most)};
}

std::uint32_t write_moments(const std::filesystem::path& path, std::span<const Moments> moments) {
  const std::span<const std::byte> bytes = std::as_bytes(moments);
  write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  return crc32c(bytes);
}

std::vector<Moments> read_moments(const std::filesystem::path& path, std::size_t times, std::size_t channels,
                                  std::uint32_t crc32c) {
  const std::string bytes = read_file(path);
  std::vector<Moments> moments(times * channels);
  if (bytes.size() != moments.size() * sizeof(Moments) || zonda::crc32c(std::as_bytes(std::span(bytes))) != crc32c) {
    fail(ErrorKind::data, "{}: checksum is wrong: the file is damaged", path.string());
  }
  std::memcpy(moments.data(), bytes.data(), bytes.size());
  return moments;
}

DifferenceSums difference_sums(std::span<const float> before, std::span<const float> after, std::optional<float> fill) {
  std::vector<float> kept_before, kept_after;
  if (fill) {
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i] == *fill && after[i] == *fill) continue;
      kept_before.push_back(before[i]);
      kept_after.push_back(after[i]);
    }
    before = kept_before;
    after = kept_after;
  }
  DifferenceSums sums{static_cast<double>(before.size()), 0, 0};
  differences(before.data(), after.data(), before.size(), sums.sum, sums.squares);
  return sums;
}

}  // namespace zonda::ingest
