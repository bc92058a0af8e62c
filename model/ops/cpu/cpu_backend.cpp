#include "model/ops/cpu/cpu_backend.hpp"

#include <omp.h>

namespace zonda::model {

CpuBackend::CpuBackend(int threads) : threads_(threads > 0 ? threads : omp_get_max_threads()) {}

}  // namespace zonda::model
