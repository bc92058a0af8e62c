#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>

namespace zonda::parallel {

/// parts [parts_count, n] -> sum [n], ((p0 + p1) + p2) + ...; `sum` may be the first part.
cudaError_t ordered_sum(const float* parts, std::size_t parts_count, std::size_t n, float* sum, cudaStream_t stream);

}  // namespace zonda::parallel
