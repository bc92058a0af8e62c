#pragma once
// Products of whole matrices by own loops, on one thread.
#include "model/ops/cpu/matrix_product.hpp"

namespace zonda::model {

/// c = op(a) op(b), or c += it; each sum is one chain along k, whatever the number of rows.
void multiply_by_tiles(const MatrixProduct& p, const float* a, const float* b, bool accumulate, float* c);

}  // namespace zonda::model
