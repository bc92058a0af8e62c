#pragma once
// ReferenceBackend: every operation as plain loops in f64, f32 and mixed precision with sums in f64. It decides what is
// right.
#include <type_traits>

#include "core/error.hpp"
#include "model/ops/backend.hpp"

namespace zonda::model {

class ReferenceBackend : public Backend {
 public:
  std::string name() const override { return "reference"; }
  void gemm(Context&, const Tensor& a, const Tensor& b, const Tensor& c, const GemmOptions& options) override;
  void quantise_columns(Context&, const Tensor& w, const Tensor& values, const Tensor& scales) override;
  void gemm_int8(Context&, const Tensor& a, const Tensor& b, const Tensor& scales, const Tensor& c,
                 const GemmOptions& options) override;
  void bias_gradient(Context&, const Tensor& dy, const Tensor& gradient) override;
  void attention(Context&, const AttentionShape&, const SequenceTable& table, const Tensor& qkv, const Tensor& q_gain,
                 const Tensor& k_gain, const Tensor& y, const Tensor& log_sum) override;
  void attention_backward(Context&, const AttentionShape&, const SequenceTable& table, const Tensor& qkv,
                          const Tensor& q_gain, const Tensor& k_gain, const Tensor& y, const Tensor& log_sum,
                          const Tensor& dy, const Tensor& dqkv, const Tensor& dq_gain, const Tensor& dk_gain) override;
  void attention_tangent(Context&, const AttentionShape&, const SequenceTable& table, const Tensor& qkv,
                         const Tensor& q_gain, const Tensor& k_gain, const Tensor& log_sum, const Tensor& dqkv,
                         const Tensor& dy) override;
  void norm_modulate(Context&, NormKind, const Tensor& x, const Modulation&, const Tensor& y,
                     const Tensor& statistics) override;
  void norm_modulate_backward(Context&, NormKind, const Tensor& x, const Modulation&, const Tensor& statistics,
                              const Tensor& dy, const Tensor& dx, bool accumulate, const Modulation& gradient) override;
  void norm_modulate_tangent(Context&, NormKind, const Tensor& x, const Modulation&, const Tensor& statistics,
                             const Tensor& dx, const Tensor& dy) override;
  void gated_add(Context&, const Tensor& x, const Tensor& branch, const Tensor& rows, std::int64_t gate,
                 const Tensor& y) override;
  void gated_add_backward(Context&, const Tensor& branch, const Tensor& rows, std::int64_t gate, const Tensor& dy,
                          const Tensor& dbranch, const Tensor& rows_gradient) override;
  void gelu(Context&, const Tensor& x, const Tensor& y) override;
  void gelu_backward(Context&, const Tensor& x, const Tensor& dy, const Tensor& dx, const Tensor& y) override;
  void add(Context&, const Tensor& x, const Tensor& y) override;
  void add_rows(Context&, const Tensor& x, const Tensor& rows, const Tensor& y) override;
  void sum_rows(Context&, const Tensor& dy, const Tensor& gradient, bool accumulate) override;
  void fill(Context&, const Tensor& x, double value) override;
  void copy(Context&, const Tensor& x, const Tensor& y) override;
  void cast(Context&, const Tensor& x, const Tensor& y) override;
  void patch_gather(Context&, const PatchGeometry&, const Tensor& image, const Tensor& patches, bool average) override;
  void patch_scatter(Context&, const PatchGeometry&, const Tensor& patches, const Tensor& image, bool average) override;
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
};

/// Calls f(double{}), f(float{}) or f(BFloat16{}) by element type.
template <class F>
void for_element_type(DType type, F&& f) {
  switch (type) {
    case DType::f64:
      return f(double{});
    case DType::f32:
      return f(float{});
    case DType::bf16:
      return f(BFloat16{});
    case DType::i8:
      break;
  }
  fail(ErrorKind::failure, "no operation works on {}", name_of(type));
}

/// Calls f(double{}) or f(float{}): operations that have no mixed precision.
template <class F>
void for_wide_type(DType type, F&& f) {
  if (type == DType::f64) return f(double{});
  if (type == DType::f32) return f(float{});
  fail(ErrorKind::failure, "this operation does not work on {}", name_of(type));
}

/// Calls f(H{}, T{}): H of an operation's (h) tensors, T of all its others.
template <class F>
void for_element_types(DType half, F&& f) {
  for_element_type(half, [&](auto h) {
    if constexpr (std::is_same_v<decltype(h), double>)
      f(h, double{});
    else
      f(h, float{});
  });
}

}  // namespace zonda::model
