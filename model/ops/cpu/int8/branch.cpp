// A branch of a block strip by strip of rows: norm, quantisation, products, GELU and gate while the strip is in the
// nearest caches. The matrices are packed once for all strips.
#include <omp.h>

#include <algorithm>
#include <cmath>

#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/int8/int8_product.hpp"
#include "model/ops/cpu/int8/quantise_rows.hpp"

namespace zonda::model {

namespace {

using int8::filled_up;
using int8::kPanel;

constexpr std::int64_t kStrip = 48;  // rows
constexpr std::int64_t kLanes = 16;

/// GELU to 1.9e-4, far below the steps of the numbers it becomes: x, or 0, less a bump that is even in x, a polynomial
/// in |x| / 2 - 1 up to |x| = 4 (best in the largest error, degree 7).
[[gnu::always_inline]] inline float coarse_gelu(float x) {
  const float size = std::fabs(x), u = (size < 4.0f ? size : 4.0f) * 0.5f - 1.0f;
  float bump = -7.9004181e-2f;
  bump = bump * u + 5.8187610e-2f;
  bump = bump * u + 2.3250552e-1f;
  bump = bump * u - 3.2522957e-1f;
  bump = bump * u + 1.9697053e-2f;
  bump = bump * u + 2.2163931e-1f;
  bump = bump * u - 1.7316317e-1f;
  bump = bump * u + 4.5250893e-2f;
  return (x > 0.0f ? x : 0.0f) - bump;
}

/// out = the quantised x / rms(x) (1 + scale) + shift, of which `row` [width] holds one row at a time.
ZONDA_CLONES void norm_strip(const float* x, const float* scale, const float* shift, float* row, std::int8_t* out,
                             float* row_scales, std::int64_t rows, std::int64_t width) {
  for (std::int64_t i = 0; i < rows; ++i, x += width, out += filled_up(width)) {
    const float inverse = 1.0f / std::sqrt(small::square_sum(x, width) / float(width) + float(Backend::norm_epsilon));
#pragma omp simd
    for (std::int64_t d = 0; d < width; ++d) row[d] = x[d] * inverse * (1.0f + scale[d]) + shift[d];
    row_scales[i] = int8::quantise_row(row, small::largest_magnitude(row, width), out, width);
  }
}

ZONDA_CLONES void quantise_strip(const float* x, std::int8_t* out, float* scales, std::int64_t rows,
                                 std::int64_t columns) {
  int8::quantise_rows(x, out, scales, rows, columns);
}

/// `largest` [rows, kLanes]: parts of each row's largest magnitude.
ZONDA_CLONES void quantise_known_strip(const float* x, const float* largest, std::int8_t* out, float* scales,
                                       std::int64_t rows, std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i, x += columns, largest += kLanes, out += filled_up(columns)) {
    scales[i] =
        int8::quantise_row(x, small::largest_of(*reinterpret_cast<const small::Vector*>(largest)), out, columns);
  }
}

/// What a panel's sums become: out = r, GELU(r), or onto + gate r, with r = sum * row scale * column scale + bias.
struct Columns {
  const float *row_scales, *column_scales, *bias, *gate, *onto;  // the last three may be null
  float *out, *largest;  // largest [rows, kLanes]: grows to the results' magnitudes; may be null
  std::int64_t rows, columns, stride;
};

template <class Finish>
[[gnu::always_inline]] inline void scale_back(const std::int32_t* sums, const Columns& c, Finish&& finish) {
  float bias[kPanel] = {};
  if (c.bias) std::copy_n(c.bias, c.columns, bias);
  for (std::int64_t i = 0; i < c.rows; ++i, sums += kPanel) {
    float* out = c.out + i * c.stride;
    const float row_scale = c.row_scales[i];
#pragma omp simd
    for (std::int64_t j = 0; j < c.columns; ++j)
      out[j] = finish(float(sums[j]) * (row_scale * c.column_scales[j]) + bias[j], i, j);
  }
}

ZONDA_CLONES void finish_plain(const std::int32_t* sums, const Columns& c) {
  scale_back(
      sums, c, [](float r, std::int64_t, std::int64_t) __attribute__((always_inline)) { return r; });
}

/// `Whole`: kPanel columns.
template <bool Whole>
[[gnu::always_inline]] inline void activate(const std::int32_t* sums, const Columns& c) {
  float bias[kPanel] = {};
  if (c.bias) std::copy_n(c.bias, c.columns, bias);
  for (std::int64_t i = 0; i < c.rows; ++i, sums += kPanel) {
    float *out = c.out + i * c.stride, largest[kLanes];
    std::copy_n(c.largest + i * kLanes, kLanes, largest);
    const float row_scale = c.row_scales[i];
    for (std::int64_t first = 0; first < c.columns; first += kLanes) {
      const std::int64_t lanes = Whole ? kLanes : std::min(kLanes, c.columns - first);
#pragma omp simd
      for (std::int64_t l = 0; l < lanes; ++l) {
        const std::int64_t j = first + l;
        const float value = coarse_gelu(float(sums[j]) * (row_scale * c.column_scales[j]) + bias[j]),
                    size = std::fabs(value);
        out[j] = value;
        largest[l] = size > largest[l] ? size : largest[l];
      }
    }
    std::copy_n(largest, kLanes, c.largest + i * kLanes);
  }
}

ZONDA_CLONES void finish_active(const std::int32_t* sums, const Columns& c) {
  c.columns == kPanel ? activate<true>(sums, c) : activate<false>(sums, c);
}

ZONDA_CLONES void finish_gated(const std::int32_t* sums, const Columns& c) {
  const float *onto = c.onto, *gate = c.gate;
  const std::int64_t stride = c.stride;
  scale_back(
      sums, c, [=](float r, std::int64_t i, std::int64_t j) __attribute__((always_inline)) {
        return onto[i * stride + j] + gate[j] * r;
      });
}

/// A layer whose matrix is packed for a kernel.
class PackedLayer {
 public:
  PackedLayer(Context& ctx, const int8::Kernel& kernel, const Int8Layer& layer) : kernel_(&kernel), layer_(layer) {
    if (layer.numbers.none()) return;
    k_ = layer.numbers.shape[0];
    n_ = layer.numbers.shape[1];
    panel_bytes_ = filled_up(k_) * kPanel * kernel.right_bytes;
    panels_ = ctx.take({panels(), panel_bytes_}, DType::i8);
    offsets_ = ctx.take({panels(), kPanel}, DType::f32);  // of 32-bit integers
  }
  std::int64_t k() const { return k_; }
  std::int64_t n() const { return n_; }
  std::int64_t panels() const { return (n_ + kPanel - 1) / kPanel; }
  void pack(std::int64_t p) const {
    kernel_->pack_right(layer_.numbers.as<std::int8_t>() + p * kPanel, n_, columns(p), k_, panel(p), offsets(p));
  }
  /// `left` packed rows; finish(sums, columns) of each panel, out and onto from their first column on.
  template <class Finish>
  void multiply(const std::byte* left, const Columns& of_rows, Finish&& finish) const {
    std::int32_t sums[kStrip * kPanel];
    for (std::int64_t p = 0; p < panels(); ++p) {
      kernel_->product(left, panel(p), offsets(p), of_rows.rows, filled_up(k_), sums);
      const std::int64_t at = p * kPanel;
      finish(sums, Columns{of_rows.row_scales, layer_.scales.as<float>() + at,
                           layer_.bias.none() ? nullptr : layer_.bias.as<float>() + at,
                           of_rows.gate ? of_rows.gate + at : nullptr, of_rows.onto ? of_rows.onto + at : nullptr,
                           of_rows.out + at, of_rows.largest, of_rows.rows, columns(p), n_});
    }
  }
  void release(Context& ctx) {
    if (!layer_.numbers.none()) ctx.release(panels_, offsets_);
  }

 private:
  std::int64_t columns(std::int64_t p) const { return std::min(kPanel, n_ - p * kPanel); }
  std::byte* panel(std::int64_t p) const { return panels_.as<std::byte>() + p * panel_bytes_; }
  std::int32_t* offsets(std::int64_t p) const {
    return reinterpret_cast<std::int32_t*>(offsets_.as<float>()) + p * kPanel;
  }
  const int8::Kernel* kernel_;
  Int8Layer layer_;
  std::int64_t k_ = 0, n_ = 0, panel_bytes_ = 0;
  Tensor panels_, offsets_;
};

}  // namespace

void CpuBackend::branch_int8(Context& ctx, const Tensor& x, const Int8Branch& branch, const Tensor& y) {
  if (x.dtype != DType::f32 || y.dtype != DType::f32) return ReferenceBackend::branch_int8(ctx, x, branch, y);
  const int8::Kernel& kernel = int8::chosen_kernel();
  PackedLayer first(ctx, kernel, branch.first), second(ctx, kernel, branch.second);
  const bool two = second.n() > 0, norm = !branch.norm.rows.none(), gated = !branch.onto.none();
  const std::int64_t rows = x.shape[0],
                     groups = norm    ? branch.norm.rows.shape[0]
                              : gated ? branch.gates.shape[0]
                                      : 1,
                     of_group = rows / groups, strips = (of_group + kStrip - 1) / kStrip;
  const std::int64_t widest = std::max(first.k(), second.k()), full = filled_up(widest);
  Tensor values = ctx.take({threads_, std::max(norm ? first.k() : 1, kStrip * second.k())}, DType::f32);
  Tensor numbers = ctx.take({threads_, kStrip * full}, DType::i8);
  Tensor packed = ctx.take({threads_, kStrip * full * kernel.left_bytes}, DType::i8);
  if (!ctx.planning()) {
    const auto pack = [&](std::int64_t p) { p < first.panels() ? first.pack(p) : second.pack(p - first.panels()); };
    const auto strip = [&](std::int64_t task, std::int64_t worker) {
      float *value = values.as<float>() + worker * values.shape[1], row_scales[kStrip];
      auto* number = numbers.as<std::int8_t>() + worker * numbers.shape[1];
      auto* left = packed.as<std::byte>() + worker * packed.shape[1];
      const std::int64_t group = task / strips, at = task % strips * kStrip, row = group * of_group + at,
                         count = std::min(kStrip, of_group - at);
      const float* from = x.as<float>() + row * first.k();
      if (norm) {
        const float* modulation = branch.norm.rows.as<float>() + group * branch.norm.rows.shape[1];
        norm_strip(from, modulation + branch.norm.scale, modulation + branch.norm.shift, value, number, row_scales,
                   count, first.k());
      } else {
        quantise_strip(from, number, row_scales, count, first.k());
      }
      kernel.pack_left(number, count, first.k(), left);
      if (two) {
        float largest[kStrip * kLanes] = {};
        first.multiply(left, {row_scales, nullptr, nullptr, nullptr, nullptr, value, largest, count, 0, 0},
                       finish_active);
        quantise_known_strip(value, largest, number, row_scales, count, second.k());
        kernel.pack_left(number, count, second.k(), left);
      }
      const PackedLayer& last = two ? second : first;
      const float* gate = gated ? branch.gates.as<float>() + group * branch.gates.shape[1] + branch.gate : nullptr;
      last.multiply(left,
                    {row_scales, nullptr, nullptr, gate, gated ? branch.onto.as<float>() + row * last.n() : nullptr,
                     y.as<float>() + row * last.n(), nullptr, count, 0, 0},
                    gated ? finish_gated : finish_plain);
    };
    const std::int64_t panels = first.panels() + second.panels(), tasks = groups * strips;
    if (const int threads = team(rows * first.k() * (first.n() + second.n()) / 32); threads == 1) {
      for (std::int64_t p = 0; p < panels; ++p) pack(p);
      for (std::int64_t task = 0; task < tasks; ++task) strip(task, 0);
    } else {
#pragma omp parallel num_threads(threads)
      {
#pragma omp for schedule(static)
        for (std::int64_t p = 0; p < panels; ++p) pack(p);
#pragma omp for schedule(dynamic)
        for (std::int64_t task = 0; task < tasks; ++task) strip(task, omp_get_thread_num());
      }
    }
  }
  first.release(ctx);
  second.release(ctx);
  ctx.release(values, numbers, packed);
}

}  // namespace zonda::model
