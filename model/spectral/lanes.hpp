#pragma once
// Eight doubles that the compiler keeps in vector registers (GCC and Clang vector extension; 2 x AVX2 or 1 x AVX-512).
// Never passed by value: the calling convention of 64-byte vectors depends on the instruction set.

namespace zonda::model {

inline constexpr int lanes = 8;
typedef double Lanes __attribute__((vector_size(64), aligned(8), may_alias));
typedef long long LaneMask __attribute__((vector_size(64), aligned(8), may_alias));

inline Lanes* as_lanes(double* p) {
  return reinterpret_cast<Lanes*>(p);
}
inline const Lanes* as_lanes(const double* p) {
  return reinterpret_cast<const Lanes*>(p);
}

}  // namespace zonda::model
