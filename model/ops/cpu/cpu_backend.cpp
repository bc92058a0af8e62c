#include "model/ops/cpu/cpu_backend.hpp"

#include <omp.h>

namespace zonda::model {

CpuBackend::CpuBackend(int threads, std::int64_t smallest_shared)
    : threads_(threads > 0 ? threads : omp_get_max_threads()), smallest_shared_(smallest_shared) {}

}  // namespace zonda::model
