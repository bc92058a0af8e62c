#pragma once
// bf16 of the emulation: the engine's own, under CUDA's names.
#include "model/tensor/bfloat16.hpp"

using __nv_bfloat16 = zonda::model::BFloat16;
inline __nv_bfloat16 __float2bfloat16(float x) {
  return __nv_bfloat16(x);
}
inline float __bfloat162float(__nv_bfloat16 x) {
  return static_cast<float>(x);
}
