#pragma once
// Backend: the operations a network is made of. ReferenceBackend (plain loops) decides what is right; CpuBackend is
// fast.
//
// Conventions: row-major; N = rows = batch x tokens; outputs are overwritten unless "accumulates" is said. In the
// planning pass operations take their scratch from the context and return.
//
// Element types: an operation works on f64, or on f32, or in mixed precision. In mixed precision the tensors marked
// (h) below are bf16, each operation's (h) tensors all alike, and everything else, sums included, is f32:
//   gemm                     a, b (h); c bf16 or f32 (f32 where it accumulates); `activated` like c; bias f32
//   bias_gradient            dy (h)
//   attention, its backward  qkv, y, dy, dqkv (h); gains, phases, log_sum and gain gradients f32
//   norm_modulate            y (h), dy (h) of its backward; x, dx, rows, statistics f32
//   gated_add                branch, dbranch (h); x, y, dy, rows f32
//   gelu, gelu_backward      all (h), derivative in f32
//   add_rows, copy, fill, permute_rows   all (h)
// Tangents and images are not mixed. Tensors live in memory().
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "model/ops/attention.hpp"
#include "model/ops/context.hpp"
#include "model/ops/loss.hpp"
#include "model/ops/optimiser.hpp"
#include "model/tensor/memory.hpp"
#include "model/tensor/tensor.hpp"

namespace zonda::model {

/// c = op(a) op(b) [+ c] [+ bias]; `activated`, when not none, receives GELU(c). Rank 3 operands are batched over the
/// first dimension.
struct GemmOptions {
  bool transpose_a = false, transpose_b = false, accumulate = false;
  Tensor bias{};        ///< [columns of c]
  Tensor activated{};   ///< shape of c
  bool coarse = false;  ///< operands may be rounded to bf16, where that is faster; b may be so already
};

enum class NormKind {
  rms,    ///< x / sqrt(mean(x^2) + eps)
  layer,  ///< (x - mean(x)) / sqrt(var(x) + eps)
};

/// One term of a map between channels: to += factor * from.
struct ChannelTerm {
  std::int32_t from = 0, to = 0;
  float factor = 1;
};

/// What the values of a channel of images are kept within.
struct ChannelRange {
  std::int32_t channel = 0;
  float lower = 0, upper = 0;  ///< may be infinite
};

/// Tokens as a raster: rows x columns for each sample; columns wrap around when `periodic`.
struct TokenRaster {
  std::int64_t rows = 0, columns = 0;
  bool periodic = true;
};

/// How image rows map to patch rows: kernel_rows x size pixels, stride `size`; kernel_rows = size + 1 overlaps by one
/// row.
struct PatchGeometry {
  int size = 1, kernel_rows = 1;
  std::int64_t token_rows = 0, token_columns = 0;
};

class Backend {
 public:
  static constexpr double norm_epsilon = 1e-6;
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  virtual int threads() const { return 1; }
  /// Where this backend's tensors live.
  virtual Memory& memory() const { return host_memory(); }
  /// Returns when everything given to the backend so far is done.
  virtual void synchronise() {}
  /// Runs `step`; a device may record its operations and from then on repeat them without running `step` again. Under
  /// one key the operations, tensors and numbers are the same each time, none of them returns a number, and none reads
  /// or writes the host's memory.
  virtual void repeat(std::uint64_t key, const std::function<void()>& step);
  /// Drops what was recorded under a key: its tensors may go.
  virtual void forget(std::uint64_t key);
  /// A key that nobody else has.
  static std::uint64_t new_key();

  // --- products
  virtual void gemm(Context&, const Tensor& a, const Tensor& b, const Tensor& c, const GemmOptions& options = {}) = 0;
  /// values [k, n] i8, in an order of the backend's own, and scales [n] f32: w [k, n] ~ values * scales, symmetric, one
  /// scale a column.
  virtual void quantise_columns(Context&, const Tensor& w, const Tensor& values, const Tensor& scales);
  /// c [N, n] = a [N, k] b, b as quantise_columns() gives it; a's rows are quantised alike as they come. a and c f32 or
  /// bf16, and c may be none where only `activated` is wanted; of the options bias and `activated`. For inference.
  virtual void gemm_int8(Context&, const Tensor& a, const Tensor& b, const Tensor& scales, const Tensor& c,
                         const GemmOptions& options = {});
  /// One branch of a block in int8, for inference: y = onto + gate * layers(norm(x)), f32. Here by the operations
  /// above; a backend may do it strip by strip, with nothing of it but y in memory.
  struct Int8Branch;
  virtual void branch_int8(Context&, const Tensor& x, const Int8Branch& branch, const Tensor& y);
  /// bias_gradient[n] accumulates the column sums of dy [N, n].
  virtual void bias_gradient(Context&, const Tensor& dy, const Tensor& gradient) = 0;

  // --- attention over the sequences of `table`: qkv [N, 3 D] -> y [N, D]
  /// Queries and keys are RMS-normalised per head, scaled by gains [head size], rotated; logits / sqrt(head size).
  /// `log_sum` [N, heads]: log of the softmax denominator, for backward.
  virtual void attention(Context&, const AttentionShape&, const SequenceTable& table, const Tensor& qkv,
                         const Tensor& q_gain, const Tensor& k_gain, const Tensor& y, const Tensor& log_sum) = 0;
  /// dqkv overwritten; gain gradients accumulate (may be none).
  virtual void attention_backward(Context&, const AttentionShape&, const SequenceTable& table, const Tensor& qkv,
                                  const Tensor& q_gain, const Tensor& k_gain, const Tensor& y, const Tensor& log_sum,
                                  const Tensor& dy, const Tensor& dqkv, const Tensor& dq_gain,
                                  const Tensor& dk_gain) = 0;
  virtual void attention_tangent(Context&, const AttentionShape&, const SequenceTable& table, const Tensor& qkv,
                                 const Tensor& q_gain, const Tensor& k_gain, const Tensor& log_sum, const Tensor& dqkv,
                                 const Tensor& dy) = 0;

  // --- normalisation and modulation: y = norm(x) (1 + scale[g]) + shift[g]
  // scale and shift lie in rows of `modulation` [G, stride] at the given columns; N / G consecutive rows share a row of
  // it.
  struct Modulation {
    Tensor rows;                        ///< [G, stride]
    std::int64_t scale = 0, shift = 0;  ///< first column of each
  };
  /// statistics [N, 2]: mean and 1 / deviation of each row, for backward.
  virtual void norm_modulate(Context&, NormKind, const Tensor& x, const Modulation&, const Tensor& y,
                             const Tensor& statistics) = 0;
  /// dx accumulates when `accumulate`, else overwritten. The modulation's gradient rows are overwritten at scale and
  /// shift (may be none).
  virtual void norm_modulate_backward(Context&, NormKind, const Tensor& x, const Modulation&, const Tensor& statistics,
                                      const Tensor& dy, const Tensor& dx, bool accumulate,
                                      const Modulation& gradient) = 0;
  virtual void norm_modulate_tangent(Context&, NormKind, const Tensor& x, const Modulation&, const Tensor& statistics,
                                     const Tensor& dx, const Tensor& dy) = 0;

  /// y = x + gate[g] * branch; `gate` is a column of rows [G, stride]. x may be none (y = gate * branch), y may alias
  /// x.
  virtual void gated_add(Context&, const Tensor& x, const Tensor& branch, const Tensor& rows, std::int64_t gate,
                         const Tensor& y) = 0;
  /// dbranch = gate * dy; rows_gradient [G, stride] at `gate` overwritten with the sums of dy * branch (may be none).
  virtual void gated_add_backward(Context&, const Tensor& branch, const Tensor& rows, std::int64_t gate,
                                  const Tensor& dy, const Tensor& dbranch, const Tensor& rows_gradient) = 0;

  // --- pointwise. GELU is the tanh form: x / (1 + exp(-2 c (x + 0.044715 x^3))), c = sqrt(2 / pi) (Hendrycks & Gimpel
  // 2016).
  virtual void gelu(Context&, const Tensor& x, const Tensor& y) = 0;
  /// dx = dy GELU'(x); `y`, when not none, receives GELU(x) again. dx may alias dy. Also the tangent.
  virtual void gelu_backward(Context&, const Tensor& x, const Tensor& dy, const Tensor& dx, const Tensor& y = {}) = 0;
  /// y += x.
  virtual void add(Context&, const Tensor& x, const Tensor& y) = 0;
  /// y[g, r, :] = x[g, r, :] + rows[r, :], with R = rows.shape[0] repeating; y may alias x.
  virtual void add_rows(Context&, const Tensor& x, const Tensor& rows, const Tensor& y) = 0;
  /// y[b, i, j, :] = y[b, i, j, :] + rows[i, :] + columns[j, :], in this order; y [B R C, D], rows [R, D], columns [C,
  /// D].
  virtual void add_raster(Context&, const Tensor& rows, const Tensor& columns, const Tensor& y);
  /// The adjoint of add_rows(): gradient[r, :] (overwritten, or accumulates) = sum over g of dy[g, r, :].
  virtual void sum_rows(Context&, const Tensor& dy, const Tensor& gradient, bool accumulate) = 0;
  virtual void fill(Context&, const Tensor& x, double value) = 0;
  virtual void copy(Context&, const Tensor& x, const Tensor& y) = 0;
  /// y = x in y's element type.
  virtual void cast(Context&, const Tensor& x, const Tensor& y) = 0;

  // --- images [B, C, H, W] and patches [B * token rows * token columns, C * kernel rows * size]
  /// With `average`, pixels of rows shared by two patches count half in each: the adjoint of scatter with `average`.
  virtual void patch_gather(Context&, const PatchGeometry&, const Tensor& image, const Tensor& patches,
                            bool average) = 0;
  /// The adjoint: image overwritten with the sum (or average) of the patches' pixels.
  virtual void patch_scatter(Context&, const PatchGeometry&, const Tensor& patches, const Tensor& image,
                             bool average) = 0;

  /// tokens [B * token rows * token columns, n] = the patches, not averaged, times w [C * kernel rows * size, n], plus
  /// bias [n]. `coarse` as GemmOptions'. Here by the operations above.
  virtual void patch_product(Context&, const PatchGeometry&, const Tensor& image, const Tensor& w, const Tensor& bias,
                             bool coarse, const Tensor& tokens);

  // --- 3x3 convolution, [B, C_in, H, W] -> [B, C_out, H, W], weight [C_out, C_in, 3, 3], bias [C_out] (may be none).
  // Rows beyond the edge repeat the edge row; columns wrap around when `periodic`, else repeat the edge column.
  virtual void convolution(Context&, bool periodic, const Tensor& x, const Tensor& weight, const Tensor& bias,
                           const Tensor& y) = 0;
  virtual void convolution_backward_input(Context&, bool periodic, const Tensor& weight, const Tensor& dy,
                                          const Tensor& dx) = 0;
  /// Both gradients accumulate.
  virtual void convolution_backward_weight(Context&, bool periodic, const Tensor& x, const Tensor& dy,
                                           const Tensor& weight_gradient, const Tensor& bias_gradient) = 0;

  // --- channels of images: y[b, to, :] = (y +) sum over the terms of factor * x[b, from, :]; x [B, Cx, H, W], y [B,
  // Cy, H, W]. Without `accumulate`, channels of y that no term names become 0.
  virtual void map_channels(Context&, const Tensor& x, std::span<const ChannelTerm> terms, const Tensor& y,
                            bool accumulate) = 0;
  /// In place, x [B, C, H, W]: values beyond the range of their channel become its nearer end; NaN stays NaN. Each
  /// channel is named once at most.
  virtual void bound_channels(Context&, std::span<const ChannelRange> ranges, const Tensor& x) = 0;
  /// In place: the gradient becomes 0 where `bounded`, which bound_channels() gave, is at an end of its range.
  virtual void bound_channels_backward(Context&, std::span<const ChannelRange> ranges, const Tensor& bounded,
                                       const Tensor& gradient) = 0;

  // --- tokens as rows: y[b, i, :] = x[b, index[i], :], x and y [B T, D]. `index` is a permutation of 0 .. T - 1.
  virtual void permute_rows(Context&, const Tensor& x, const IndexTable& index, const Tensor& y) = 0;

  // --- 3x3 depthwise convolution of tokens [B T, D], weight [9, D] (row above first), bias [D]; rows beyond the edge
  // count as zero, and columns too unless the raster is periodic.
  virtual void depthwise(Context&, const TokenRaster&, const Tensor& x, const Tensor& weight, const Tensor& bias,
                         const Tensor& y) = 0;
  virtual void depthwise_backward_input(Context&, const TokenRaster&, const Tensor& weight, const Tensor& dy,
                                        const Tensor& dx) = 0;
  /// Both gradients accumulate.
  virtual void depthwise_backward_weight(Context&, const TokenRaster&, const Tensor& x, const Tensor& dy,
                                         const Tensor& weight_gradient, const Tensor& bias_gradient) = 0;

  // --- training; here the host's versions of loss.hpp and optimiser.hpp. Tensors of one element type, f32 or f64.
  virtual double loss(Context&, const LossTerms& terms, const Tensor& prediction, const Tensor& target,
                      const Tensor& gradient, double scale, std::span<double> per_channel = {});
  /// fair_crps(); `terms` without sample weights.
  virtual double crps(Context&, const LossTerms& terms, int members, const Tensor& prediction, const Tensor& target,
                      const Tensor& gradient, double scale);
  /// loss() and crps() for steps that repeat(): the chunks' parts (LossRows; without cuts one) go to `parts` [chunks]
  /// f64 in memory(), and terms.rows.parts is left alone.
  virtual void loss_parts(Context&, const LossTerms& terms, const Tensor& prediction, const Tensor& target,
                          const Tensor& gradient, double scale, const Tensor& parts);
  virtual void crps_parts(Context&, const LossTerms& terms, int members, const Tensor& prediction, const Tensor& target,
                          const Tensor& gradient, double scale, const Tensor& parts);
  /// `copy` bf16 like w, or none: receives the new w.
  virtual void adamw(const AdamW& options, std::int64_t step, double decay, const Tensor& w, const Tensor& g,
                     const Tensor& m, const Tensor& v, const Tensor& copy = {});
  /// Sum of x^2. `raster`: number of x's first element on the whole arena's raster of chunks, so that the parts of a
  /// shard add up alike.
  virtual double square_sum(const Tensor& x, std::int64_t raster);
  virtual void scale(const Tensor& x, double factor);
  /// mean += (1 - decay) (x - mean).
  virtual void average(const Tensor& x, const Tensor& mean, double decay);
};

/// A matrix as quantise_columns() gives it, the scales of its columns, a bias [n] or none.
struct Int8Layer {
  Tensor numbers, scales, bias{};
};

/// r = norm(x) (1 + scale) + shift, RMS, or x without `norm`; r = r W1 + b1; with a second layer r = GELU(r) W2 + b2; y
/// = onto + gate * r, or r without `onto`.
struct Backend::Int8Branch {
  Modulation norm{};  ///< none: without rows
  Int8Layer first, second{};
  Tensor onto{}, gates{};  ///< gates: rows [G, stride]
  std::int64_t gate = 0;   ///< their first column
};

/// `reference`, `cpu`, or `cuda` (`cuda:1` for the second device); `threads` 0 takes OpenMP's. Throws Error(usage)
/// listing the names, or where there is no such device.
std::shared_ptr<Backend> make_backend(const std::string& name, int threads = 0);
/// The backend that a configuration's `device` asks for: `auto` is `cuda` on a machine with a GPU, else `cpu`; `cpu`,
/// `cuda` and `cuda:N` are themselves. Throws Error(usage) for anything else.
std::string backend_of_device(const std::string& device);

}  // namespace zonda::model
