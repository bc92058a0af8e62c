#pragma once
// The kernels by instruction set; which of them a machine may run, int8_product.cpp knows.
#include "model/ops/cpu/int8/int8_product.hpp"

namespace zonda::model::int8 {

extern const Kernel portable;  ///< 16 bit products of plain loops
#if defined(__x86_64__) && defined(__GNUC__)
#define ZONDA_INT8_X86
extern const Kernel avx2;           ///< pairs of 16 bit numbers (pmaddwd)
extern const Kernel avx_vnni;       ///< quadruples of bytes, 8 columns a register
extern const Kernel avx512vl_vnni;  ///< the same in AVX-512's encoding
extern const Kernel avx512_vnni;    ///< quadruples of bytes, 16 columns a register
#endif
#if defined(__aarch64__) && defined(__GNUC__)
#define ZONDA_INT8_NEON
extern const Kernel neon;          ///< 16 bit products of bytes (smull), ARMv8.0
extern const Kernel neon_dotprod;  ///< quadruples of bytes (sdot), ARMv8.2
#endif

}  // namespace zonda::model::int8
