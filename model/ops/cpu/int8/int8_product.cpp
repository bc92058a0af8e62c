#include "model/ops/cpu/int8/int8_product.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "model/ops/cpu/int8/kernels.hpp"

#ifdef ZONDA_INT8_X86
#include <cpuid.h>
#endif
#ifdef ZONDA_INT8_NEON
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace zonda::model::int8 {

namespace {

#ifdef ZONDA_INT8_X86
/// AVX-VNNI: EAX bit 4 of leaf 7, subleaf 1 (Intel's Software Developer's Manual, CPUID); the system must keep the
/// registers, which the compiler's word on AVX2 includes.
bool has_avx_vnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> 4 & 1) != 0;
}
#endif

std::vector<Kernel> of_this_machine() {
  std::vector<Kernel> found{portable};
#ifdef ZONDA_INT8_X86
  if (__builtin_cpu_supports("avx2")) found.push_back(avx2);
  if (has_avx_vnni()) found.push_back(avx_vnni);
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    found.insert(found.end(), {avx512vl_vnni, avx512_vnni});
#endif
#ifdef ZONDA_INT8_NEON
  found.push_back(neon);
  if (::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) found.push_back(neon_dotprod);
#endif
  return found;
}

const Kernel& choose() {
  const char* wanted = std::getenv("ZONDA_INT8_KERNEL");
  return wanted && *wanted ? kernel_named(wanted) : kernels().back();
}

}  // namespace

std::span<const Kernel> kernels() {
  static const std::vector<Kernel> all = of_this_machine();
  return all;
}

const Kernel& kernel_named(std::string_view name) {
  std::vector<std::string> names;
  for (const Kernel& kernel : kernels()) {
    if (kernel.name == name) return kernel;
    names.emplace_back(kernel.name);
  }
  throw Error(ErrorKind::usage, unknown_word("int8 kernel (ZONDA_INT8_KERNEL)", name, names));
}

const Kernel& chosen_kernel() {
  static const Kernel& kernel = choose();
  return kernel;
}

}  // namespace zonda::model::int8
