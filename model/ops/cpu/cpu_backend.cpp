#include "model/ops/cpu/cpu_backend.hpp"

#include <omp.h>

namespace zonda::model {

CpuBackend::CpuBackend(int threads, std::int64_t smallest_shared, bool bf16_products)
    : threads_(threads > 0 ? threads : omp_get_max_threads()),
      smallest_shared_(smallest_shared),
      bf16_products_(bf16_products) {}

}  // namespace zonda::model
