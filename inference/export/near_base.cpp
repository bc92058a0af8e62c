#include "inference/export/near_base.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

#include "core/error.hpp"

namespace zonda::inference {

namespace {

constexpr float most = 127, fits_from = 0.98F * most, fits_to = most + 0.5F;
constexpr double allowed_loss = 1.25;  // errors up to 0.6 instead of 0.5 of a step

double difference(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (double(a[i]) - double(b[i])) * (double(a[i]) - double(b[i]));
  return std::sqrt(sum / static_cast<double>(std::max<std::size_t>(a.size(), 1)));
}

}  // namespace

void keep_near(std::span<const float> exact, std::span<const std::int8_t> old_numbers,
               std::span<const float> old_scales, std::span<std::int8_t> numbers, std::span<float> scales) {
  const std::size_t columns = scales.size(), rows = exact.size() / columns;
  for (std::size_t column = 0; column < columns; ++column) {
    float largest = 0;
    for (std::size_t row = 0; row < rows; ++row) largest = std::max(largest, std::abs(exact[row * columns + column]));
    const float old_scale = old_scales[column], reach = old_scale > 0 ? largest / old_scale : 0;
    const bool fits = reach >= fits_from && reach <= fits_to;
    if (fits) scales[column] = old_scale;
    if (!(scales[column] > 0)) continue;
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t i = row * columns + column;
      const float steps = exact[i] / scales[column];
      if (std::abs(double(steps) - double(old_numbers[i])) <= kept_within)
        numbers[i] = old_numbers[i];
      else if (fits)
        numbers[i] = static_cast<std::int8_t>(std::clamp(std::nearbyint(steps), -most, most));
    }
  }
}

model::BFloat16 keep_near(float exact, model::BFloat16 old) {
  const model::BFloat16 nearest(exact);
  const int apart = int(nearest.bits) - int(old.bits);
  if (apart != 1 && apart != -1) return nearest;
  const double step = std::abs(double(static_cast<float>(nearest)) - double(static_cast<float>(old)));
  return std::abs(double(exact) - double(static_cast<float>(old))) <= kept_within * step ? old : nearest;
}

float keep_near(float exact, float old) {
  if (exact == 0 || !std::isfinite(exact) || !std::isfinite(old) || std::signbit(exact) != std::signbit(old))
    return exact;
  constexpr std::int64_t unit = std::int64_t{1} << dropped_bits;
  const std::int64_t from = std::bit_cast<std::uint32_t>(old), change = std::bit_cast<std::uint32_t>(exact) - from;
  const std::int64_t rounded = (change + (change < 0 ? -unit / 2 : unit / 2)) / unit * unit;
  const auto made = std::bit_cast<float>(static_cast<std::uint32_t>(from + rounded));
  return std::isfinite(made) && std::signbit(made) == std::signbit(exact) ? made : exact;
}

BaseCost require_as_skilful(std::span<const float> exact, std::span<const float> plain, std::span<const float> near) {
  const BaseCost cost{difference(exact, plain), difference(exact, near)};
  if (!(cost.with <= allowed_loss * cost.without))
    fail(ErrorKind::numerical,
         "export: kept near its base the model is {:.3g} from the exact one (root mean square of the self-test), "
         "without a base {:.3g}; at most {} times as much is allowed: export without a base",
         cost.with, cost.without, allowed_loss);
  return cost;
}

}  // namespace zonda::inference
