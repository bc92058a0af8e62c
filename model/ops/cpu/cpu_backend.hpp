#pragma once
// CpuBackend: f32, mixed precision and int8 on all cores. Products of f32 and bf16 by oneDNN where there is one, the
// rest by own vectorised loops; f64 is left to the reference loops. The same bits on any number of threads: work is cut
// into pieces that do not depend on it, partial sums are added in order.
#include <vector>

#include "model/ops/cpu/matrix_product.hpp"
#include "model/ops/reference/reference_backend.hpp"

namespace zonda::model {

class CpuBackend : public ReferenceBackend {
 public:
  /// `threads` 0: OpenMP's number at this moment. Operations on fewer than `smallest_shared` numbers stay on one
  /// thread: waking the others would cost more than the work. Without `bf16_products`, and where the machine has none,
  /// operands in bf16 are widened and multiplied in f32.
  explicit CpuBackend(int threads = 0, std::int64_t smallest_shared = 32768, bool bf16_products = true);
  std::string name() const override { return "cpu"; }
  int threads() const override { return threads_; }

  void gemm(Context&, const Tensor& a, const Tensor& b, const Tensor& c, const GemmOptions& options) override;
  void gemm_int8(Context&, const Tensor& a, const Tensor& b, const Tensor& scales, const Tensor& c,
                 const GemmOptions& options) override;
  void branch_int8(Context&, const Tensor& x, const Int8Branch& branch, const Tensor& y) override;
  void bias_gradient(Context&, const Tensor& dy, const Tensor& gradient) override;
  void attention(Context&, const AttentionShape&, const SequenceTable& table, const Tensor& qkv, const Tensor& q_gain,
                 const Tensor& k_gain, const Tensor& y, const Tensor& log_sum) override;
  void attention_backward(Context&, const AttentionShape&, const SequenceTable& table, const Tensor& qkv,
                          const Tensor& q_gain, const Tensor& k_gain, const Tensor& y, const Tensor& log_sum,
                          const Tensor& dy, const Tensor& dqkv, const Tensor& dq_gain, const Tensor& dk_gain) override;
  void norm_modulate(Context&, NormKind, const Tensor& x, const Modulation&, const Tensor& y,
                     const Tensor& statistics) override;
  void norm_modulate_backward(Context&, NormKind, const Tensor& x, const Modulation&, const Tensor& statistics,
                              const Tensor& dy, const Tensor& dx, bool accumulate, const Modulation& gradient) override;
  void gated_add(Context&, const Tensor& x, const Tensor& branch, const Tensor& rows, std::int64_t gate,
                 const Tensor& y) override;
  void gated_add_backward(Context&, const Tensor& branch, const Tensor& rows, std::int64_t gate, const Tensor& dy,
                          const Tensor& dbranch, const Tensor& rows_gradient) override;
  void gelu(Context&, const Tensor& x, const Tensor& y) override;
  void gelu_backward(Context&, const Tensor& x, const Tensor& dy, const Tensor& dx, const Tensor& y) override;
  void add(Context&, const Tensor& x, const Tensor& y) override;
  void add_rows(Context&, const Tensor& x, const Tensor& rows, const Tensor& y) override;
  void sum_rows(Context&, const Tensor& dy, const Tensor& gradient, bool accumulate) override;
  void copy(Context&, const Tensor& x, const Tensor& y) override;
  void cast(Context&, const Tensor& x, const Tensor& y) override;
  void patch_gather(Context&, const PatchGeometry&, const Tensor& image, const Tensor& patches, bool average) override;
  void patch_scatter(Context&, const PatchGeometry&, const Tensor& patches, const Tensor& image, bool average) override;
  void patch_product(Context&, const PatchGeometry&, const Tensor& image, const Tensor& w, const Tensor& bias,
                     bool coarse, const Tensor& tokens) override;
  void add_raster(Context&, const Tensor& rows, const Tensor& columns, const Tensor& y) override;
  void convolution(Context&, bool periodic, const Tensor& x, const Tensor& weight, const Tensor& bias,
                   const Tensor& y) override;
  void convolution_backward_input(Context&, bool periodic, const Tensor& weight, const Tensor& dy,
                                  const Tensor& dx) override;
  void convolution_backward_weight(Context&, bool periodic, const Tensor& x, const Tensor& dy,
                                   const Tensor& weight_gradient, const Tensor& bias_gradient) override;
  void map_channels(Context&, const Tensor& x, std::span<const ChannelTerm> terms, const Tensor& y,
                    bool accumulate) override;
  void bound_channels(Context&, std::span<const ChannelRange> ranges, const Tensor& x) override;
  void bound_channels_backward(Context&, std::span<const ChannelRange> ranges, const Tensor& bounded,
                               const Tensor& gradient) override;
  void permute_rows(Context&, const Tensor& x, const IndexTable& index, const Tensor& y) override;
  void depthwise(Context&, const TokenRaster&, const Tensor& x, const Tensor& weight, const Tensor& bias,
                 const Tensor& y) override;
  void depthwise_backward_input(Context&, const TokenRaster&, const Tensor& weight, const Tensor& dy,
                                const Tensor& dx) override;
  void depthwise_backward_weight(Context&, const TokenRaster&, const Tensor& x, const Tensor& dy,
                                 const Tensor& weight_gradient, const Tensor& bias_gradient) override;

 private:
  /// Whether attention multiplies pairs of bf16 numbers.
  bool paired(const AttentionShape&, DType operands) const;
  void convolution_coarse(Context&, bool periodic, const Tensor& x, const Tensor& weight, const Tensor& bias,
                          const Tensor& y);
  /// Whether a product multiplies pairs of bf16 numbers where its operands may be rounded.
  bool rounds(bool coarse) const;
  void gemm_coarse(Context&, const Tensor& a, const Tensor& b, const Tensor& c, const GemmOptions& options);
  void weight_gradient_by_products(Context&, bool periodic, const Tensor& x, const Tensor& dy,
                                   const Tensor& weight_gradient, const Tensor& bias_gradient);
  int team(std::int64_t numbers) const { return numbers < smallest_shared_ ? 1 : threads_; }
  int threads_;
  std::int64_t smallest_shared_;
  bool bf16_products_;
  std::vector<float> few_rows_;  // operand and result of a product of few rows, filled up
};

}  // namespace zonda::model
