#pragma once
// Attention of one long sequence a sample, by a library: queries and keys come ready for products.
#include "model/ops/cuda/cuda_memory.hpp"
#include "model/ops/cuda/launch.hpp"

namespace zonda::model::cuda {

struct LongAttentionShape {
  std::int64_t batch = 0, heads = 0, tokens = 0, head_size = 0;
};

class LongAttention {
 public:
  virtual ~LongAttention() = default;
  /// Whether it covers a shape. The first question about a shape may take long and allocate.
  virtual bool covers(const LongAttentionShape&) = 0;
  /// q, k, v, y [batch, tokens, heads, head size] bf16; log_sum [batch, heads, tokens] f32: log of the softmax
  /// denominator. Logits are q k / sqrt(head size).
  virtual void forward(const LongAttentionShape&, const void* q, const void* k, const void* v, void* y, float* log_sum,
                       Stream) = 0;
  /// Whether it has the gradient of a shape it covers, the same bits each time.
  virtual bool covers_backward(const LongAttentionShape&) = 0;
  /// From what forward() took and gave, and dy: dq, dk, dv, all shaped and typed like q.
  virtual void backward(const LongAttentionShape&, const void* q, const void* k, const void* v, const void* y,
                        const float* log_sum, const void* dy, void* dq, void* dk, void* dv, Stream) = 0;
};

}  // namespace zonda::model::cuda
