#pragma once
// The kernels' doors: one family a file of the same name. Shapes as in backend.hpp; H is float or bf16, the element
// type of the tensors backend.hpp marks (h). Nothing here allocates; sums over rows go through `partial`, scratch of
// the stated size, piece by piece and then in order, so that the bits depend on the shapes alone.
#include <cuda_bf16.h>

#include "model/ops/cuda/launch.hpp"

namespace zonda::model::cuda {

using bf16 = __nv_bfloat16;

// --- column_sums.cu
/// Rows that one block adds up on its own.
std::int64_t rows_of_piece(std::int64_t rows);
inline std::int64_t pieces_of(std::int64_t rows) {
  const std::int64_t piece = rows_of_piece(rows);
  return (rows + piece - 1) / piece;
}
/// out[g * out_stride + d] (=, or += when `accumulate`) sum over rows of in[g, row, d], d < width, in [groups, rows,
/// in_stride].
void sum_pieces(Stream, const float* in, std::int64_t groups, std::int64_t rows, std::int64_t in_stride,
                std::int64_t width, float* out, std::int64_t out_stride, bool accumulate);
/// gradient[n] += column sums of dy [rows, n]; partial [pieces_of(rows), n].
template <class H>
void bias_gradient(Stream, const H* dy, std::int64_t rows, std::int64_t n, float* gradient, float* partial);

// --- norm.cu
struct RowShape {
  std::int64_t rows, width, rows_per_group, stride;  ///< stride: of the modulation's rows
};
template <class H>
void norm_modulate(Stream, bool layer, RowShape, const float* x, const float* scale, const float* shift, H* y,
                   float* statistics);
/// partial [groups * pieces_of(rows_per_group), 2, width]; scale_gradient and shift_gradient, each of rows
/// `gradient_stride` apart, may be null.
template <class H>
void norm_modulate_backward(Stream, bool layer, RowShape, const float* x, const float* scale, const float* statistics,
                            const H* dy, float* dx, bool accumulate, float* scale_gradient, float* shift_gradient,
                            std::int64_t gradient_stride, float* partial);
void norm_modulate_tangent(Stream, bool layer, RowShape, const float* x, const float* scale, const float* statistics,
                           const float* dx, float* dy);
template <class H>
void gated_add(Stream, RowShape, const float* x, const H* branch, const float* gate, float* y);
/// partial [groups * pieces_of(rows_per_group), width]; gate_gradient may be null.
template <class H>
void gated_add_backward(Stream, RowShape, const H* branch, const float* gate, const float* dy, H* dbranch,
                        float* gate_gradient, std::int64_t gradient_stride, float* partial);

// --- pointwise.cu
template <class H>
void gelu(Stream, const H* x, H* y, std::int64_t n);
template <class H>
void gelu_backward(Stream, const H* x, const H* dy, H* dx, H* y, std::int64_t n);
template <class H>
void add(Stream, const H* x, H* y, std::int64_t n);
/// y[i] = x[i] + rows[i % period]
template <class H>
void add_rows(Stream, const H* x, const H* rows, H* y, std::int64_t n, std::int64_t period);
/// gradient[j] (+)= sum over g of dy[g * period + j]
template <class H>
void sum_rows(Stream, const H* dy, H* gradient, std::int64_t groups, std::int64_t period, bool accumulate);
template <class H>
void fill(Stream, H* x, std::int64_t n, float value);
template <class From, class To>
void cast(Stream, const From* x, To* y, std::int64_t n);
/// c += bias (may be null), activated = GELU(c) (may be null); c, activated [rows, n].
template <class H>
void finish_product(Stream, H* c, const float* bias, H* activated, std::int64_t rows, std::int64_t n);

// --- attention_rows.cu: f32 arithmetic, a warp a row; attention_tiles.cu: bf16 on tensor cores. Head sizes up to 192
/// The operation's operands on the device. Null pointers where an operation has no such tensor.
template <class H>
struct Attention {
  std::int64_t batch, tokens;  ///< tokens of a sample
  int heads, head_size, sequences, longest;
  const std::int32_t *offsets, *order;  ///< SequenceTable: offsets, tokens
  const float *cosine, *sine, *q_gain, *k_gain;
  const H* qkv;
  float* log_sum;
  H* y;
  const H *dy, *dqkv_in;  ///< of backward; of the tangent
  H* dqkv;
  float* row_dot;        ///< [N, heads] scratch of backward: dy . y
  float* gain_partial;   ///< [2, blocks, head_size] scratch of backward
  const H* gathered[4];  ///< q, k, v, dy as attention_gather() leaves them, or null: rows are made where they are read
};
/// Chunks of a sequence's rows, a block each: with batch x sequences x heads, the rows of gain_partial.
std::int64_t attention_row_chunks(int longest);
std::int64_t attention_tile_chunks(int longest, int head_size);
void attention_rows(Stream, const Attention<float>&);
void attention_rows_backward(Stream, const Attention<float>&);
void attention_rows_tangent(Stream, const Attention<float>&);
/// row_dot from y and dy.
template <class H>
void attention_row_dots(Stream, const Attention<H>&, const H* y);
void attention_tiles(Stream, const Attention<bf16>&);
void attention_tiles_backward(Stream, const Attention<bf16>&);

// attention_long.cu. Gathered rows are [batch, table entries, heads, head size], the sums that go with them, of one
// sequence alone, [batch, heads, tokens].
void attention_gather(Stream, const Attention<bf16>&, bf16* q, bf16* k, bf16* v);
/// y_rows, with log_sum, may be null.
void attention_gather_gradient(Stream, const Attention<bf16>&, const bf16* y, bf16* dy_rows, bf16* y_rows,
                               float* log_sum);
void attention_scatter(Stream, const Attention<bf16>&, const bf16* y, const float* log_sum);
/// dqkv and gain_partial, of batch x sequences x heads x attention_scatter_chunks() rows.
std::int64_t attention_scatter_chunks(int longest);
void attention_scatter_gradient(Stream, const Attention<bf16>&, const bf16* dq, const bf16* dk, const bf16* dv);

// --- int8.cu
/// out and scales of each row's symmetric quantisation.
template <class H>
void quantise_rows(Stream, const H* x, std::int8_t* out, float* scales, std::int64_t rows, std::int64_t columns);
/// out [columns, rows]: a column of w becomes a row.
void quantise_columns(Stream, const float* w, std::int8_t* out, float* scales, std::int64_t rows, std::int64_t columns);
/// c [m, n] = a [m, k] b^T, b [n, k].
void multiply_bytes(Stream, const std::int8_t* a, const std::int8_t* b, std::int32_t* c, std::int64_t m, std::int64_t n,
                    std::int64_t k);
/// c = sum * row scale * column scale [+ bias], activated (may be null) = GELU of that.
template <class C>
void scale_back(Stream, const std::int32_t* sum, const float* row_scales, const float* column_scales, const float* bias,
                C* c, C* activated, std::int64_t m, std::int64_t n);

// --- patch.cu
struct PatchShape {
  std::int64_t batch, channels, rows, columns, token_rows, token_columns;
  int size, kernel_rows;
};
void patch_gather(Stream, const PatchShape&, const float* image, float* patches, bool average);
void patch_scatter(Stream, const PatchShape&, const float* patches, float* image, bool average);

// --- convolution.cu
struct ImageShape {
  std::int64_t batch, in, out, rows, columns;
  bool periodic;
};
void convolution(Stream, const ImageShape&, const float* x, const float* weight, const float* bias, float* y);
void convolution_backward_input(Stream, const ImageShape&, const float* weight, const float* dy, float* dx);
std::int64_t convolution_pieces(const ImageShape&);
/// partial [convolution_pieces, out * in * 9 + out]
void convolution_backward_weight(Stream, const ImageShape&, const float* x, const float* dy, float* weight_gradient,
                                 float* bias_gradient, float* partial);

// --- rows_channels.cu
struct ChannelMap {
  std::int64_t batch, from_channels, to_channels, points;
  const std::int32_t *first, *from;  ///< [to_channels + 1] into `from`, `factor`
  const float* factor;
};
void map_channels(Stream, const ChannelMap&, const float* x, float* y, bool accumulate);
/// Of x [batch, channels, points].
struct ChannelRanges {
  std::int64_t batch, channels, points, count;
  const std::int32_t* channel;  ///< [count]
  const float *lower, *upper;   ///< [count]
};
void bound_channels(Stream, const ChannelRanges&, float* x);
void bound_channels_backward(Stream, const ChannelRanges&, const float* bounded, float* gradient);
/// Rows of `bytes` each, `tokens` of them a sample.
void permute_rows(Stream, const void* x, const std::int32_t* index, void* y, std::int64_t rows, std::int64_t tokens,
                  std::int64_t bytes);
struct RasterShape {
  std::int64_t batch, rows, columns, width;
  bool periodic;
};
void depthwise(Stream, const RasterShape&, const float* x, const float* weight, const float* bias, float* y);
void depthwise_backward_input(Stream, const RasterShape&, const float* weight, const float* dy, float* dx);
/// partial [pieces_of(tokens), 10, width], the ninth row of 10 being the bias'.
void depthwise_backward_weight(Stream, const RasterShape&, const float* x, const float* dy, float* weight_gradient,
                               float* bias_gradient, float* partial);

// --- loss.cu
struct LossShape {
  std::int64_t batch, channels, rows, columns;
  bool squared;
};
/// On the device. A piece is the rows that one block adds up; a chunk (LossRows) has whole pieces.
struct LossWeights {
  const double *row, *field;                      ///< [rows]; [B, C], B counting an ensemble once
  const std::int64_t *piece_rows, *chunk_pieces;  ///< [pieces + 1], [chunks + 1]: the first of each
  std::int64_t pieces, chunks;
  double scale;  ///< of the gradient
};
/// parts [chunks]: what each chunk adds; partial [B C, pieces] scratch. gradient may be null, or the prediction.
void loss(Stream, const LossShape&, const LossWeights&, const float* prediction, const float* target, float* gradient,
          double* partial, double* parts);
/// The fair CRPS; shape.batch counts all members, at most `crps_most_members` of a sample.
inline constexpr int crps_most_members = 256;
void crps(Stream, const LossShape&, const LossWeights&, int members, const float* prediction, const float* target,
          float* gradient, double* partial, double* parts);

// --- optimiser.cu
struct AdamWRates {
  float step, decay, beta1, beta2, correction2, epsilon, scale;
};
/// `copy`, which may be null, receives the new w.
void adamw(Stream, const AdamWRates&, float* w, const float* g, float* m, float* v, bf16* copy, std::int64_t n);
/// part[c] = sum of squares in the c-th chunk of `chunk` numbers on the raster of which x begins at `raster`.
void square_sum(Stream, const float* x, std::int64_t n, std::int64_t raster, std::int64_t chunk, double* part,
                std::int64_t chunks);
void scale(Stream, float* x, float factor, std::int64_t n);
void average(Stream, const float* x, float* mean, float rate, std::int64_t n);

}  // namespace zonda::model::cuda
