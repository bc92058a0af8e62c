#pragma once
// A release that is made with its predecessor in mind: a number stays what stations have already where the new model
// lets it, so that little has to travel.
#include <cstdint>
#include <span>

#include "model/tensor/bfloat16.hpp"

namespace zonda::inference {

/// Distance from the exact value, in steps between neighbouring numbers, up to which an old number stays. Rounding to
/// the nearest alone leaves up to 0.5.
inline constexpr double kept_within = 0.6;
/// Of numbers in f32 only the changes' leading bits are taken: relative error at most 2^-13.
inline constexpr int dropped_bits = 11;

/// exact [rows, columns] to numbers and scales [columns], which hold its own quantisation before. A column keeps its
/// old scale where its largest weight still fits it within 2 %, and each number that lies near enough.
void keep_near(std::span<const float> exact, std::span<const std::int8_t> old_numbers,
               std::span<const float> old_scales, std::span<std::int8_t> numbers, std::span<float> scales);
/// One number in bf16.
model::BFloat16 keep_near(float exact, model::BFloat16 old);
/// One number in f32: old plus the change, rounded.
float keep_near(float exact, float old);

/// Root mean square differences of a self-test's output from that of the exact weights.
struct BaseCost {
  double without = 0;  ///< of int8 as it would be without a base
  double with = 0;     ///< of what is kept near the base: at most a quarter more
};
/// Throws Error(numerical) where nearness costs more.
BaseCost require_as_skilful(std::span<const float> exact, std::span<const float> plain, std::span<const float> near);

}  // namespace zonda::inference
