#pragma once
// CudaBackend: every operation on one NVIDIA device, in f32 and mixed precision. Products are a library's, everything
// else kernels of this folder. The bits depend on shapes alone: no atomics, sums in fixed pieces.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/ops/backend.hpp"
#include "model/ops/cuda/cuda_memory.hpp"
#include "model/ops/cuda/kernels.hpp"
#include "model/ops/cuda/long_attention.hpp"
#include "model/ops/cuda/product_library.hpp"
#include "model/tensor/buffer.hpp"

namespace zonda::model::cuda {

struct ChannelRanges;
using MakeProducts = std::function<std::unique_ptr<ProductLibrary>(CudaMemory&)>;
using MakeLongAttention = std::function<std::unique_ptr<LongAttention>(CudaMemory&)>;

class CudaBackend final : public Backend {
 public:
  /// `make_long_attention` may give none: the kernels here cover sequences of any length.
  CudaBackend(int device, const MakeProducts& make_products, const MakeLongAttention& make_long_attention);
  ~CudaBackend() override;
  std::string name() const override { return "cuda"; }
  Memory& memory() const override { return *memory_; }
  void synchronise() override { memory_->synchronise(); }
  void repeat(std::uint64_t key, const std::function<void()>& step) override;
  void forget(std::uint64_t key) override;

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

  double loss(Context&, const LossTerms& terms, const Tensor& prediction, const Tensor& target, const Tensor& gradient,
              double scale, std::span<double> per_channel) override;
  double crps(Context&, const LossTerms& terms, int members, const Tensor& prediction, const Tensor& target,
              const Tensor& gradient, double scale) override;
  void loss_parts(Context&, const LossTerms& terms, const Tensor& prediction, const Tensor& target,
                  const Tensor& gradient, double scale, const Tensor& parts) override;
  void crps_parts(Context&, const LossTerms& terms, int members, const Tensor& prediction, const Tensor& target,
                  const Tensor& gradient, double scale, const Tensor& parts) override;
  void adamw(const AdamW& options, std::int64_t step, double decay, const Tensor& w, const Tensor& g, const Tensor& m,
             const Tensor& v, const Tensor& copy) override;
  double square_sum(const Tensor& x, std::int64_t raster) override;
  void scale(const Tensor& x, double factor) override;
  void average(const Tensor& x, const Tensor& mean, double decay) override;

 private:
  struct Graphs;
  /// Throws where a step is being recorded, which must not allocate nor copy from the host.
  void refuse_while_recording(const char* what) const;
  // The device's copies of host values: of a table by its id, of others by content.
  const std::byte* kept(std::uint64_t id, std::span<const std::byte> first, std::span<const std::byte> second);
  const std::byte* kept(std::string bytes);
  ChannelRanges ranges_of(std::span<const ChannelRange> ranges, const Tensor& x);
  bool by_library(const AttentionShape&, const SequenceTable& table, bool backward);
  void attention_in_bf16(Context&, const AttentionShape&, const SequenceTable& table, const Tensor& qkv,
                         const Tensor& q_gain, const Tensor& k_gain, const Tensor& y, const Tensor& log_sum);
  void attention_backward_by_library(Context&, const AttentionShape&, const SequenceTable& table, const Tensor& qkv,
                                     const Tensor& q_gain, const Tensor& k_gain, const Tensor& y, const Tensor& log_sum,
                                     const Tensor& dy, const Tensor& dqkv, float* gain_partial);
  const std::int32_t* numbers_of(const SequenceTable& table);  ///< offsets, then tokens
  LossWeights weights_of(const LossTerms& terms, const Shape& shape, int members, double scale);
  /// The parts that `find_parts` leaves on the device, added in order; terms.rows.parts receives them.
  double added(const LossTerms& terms, const std::function<void(const Tensor&)>& find_parts);
  /// Room on the device for n sums, which fetch_sums() then brings for the host to add up.
  double* partial_sums(std::int64_t n);
  const std::vector<double>& fetch_sums();

  std::unique_ptr<CudaMemory> memory_;
  std::unique_ptr<ProductLibrary> products_;
  std::unique_ptr<LongAttention> long_attention_;
  std::map<std::uint64_t, Buffer> tables_;
  std::map<std::string, Buffer> values_;
  Buffer sums_, parts_;
  std::vector<Buffer> outgrown_;
  std::vector<double> host_sums_;
  std::unique_ptr<Graphs> graphs_;
};

}  // namespace zonda::model::cuda
