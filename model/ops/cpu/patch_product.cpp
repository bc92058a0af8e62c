// The product of an image's patches without the patches: tiles read their left operands where they lie in the image.
#include <algorithm>
#include <limits>

#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/for_pieces.hpp"
#include "model/ops/cpu/matrix_product.hpp"
#include "model/ops/cpu/mixed.hpp"
#include "model/ops/cpu/pair_product.hpp"
#include "model/ops/cpu/small_product.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t kTokens = 48;  // of a piece

ZONDA_CLONES void add_bias(const float* bias, float* tokens, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i, tokens += columns) {
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) tokens[j] = tokens[j] + bias[j];
  }
}

/// Places of the tokens' first pixels in a sample's image and of a patch's pixels from there on, in units of `unit`
/// pixels of a row.
void list_places(const PatchGeometry& g, const Tensor& image, int unit, std::int32_t* tokens, std::int32_t* pixels) {
  const std::int64_t rows = image.shape[2], columns = image.shape[3];
  for (std::int64_t i = 0; i < g.token_rows; ++i)
    for (std::int64_t j = 0; j < g.token_columns; ++j)
      *tokens++ = static_cast<std::int32_t>((i * columns + j) * g.size / unit);
  for (std::int64_t c = 0; c < image.shape[1]; ++c)
    for (int u = 0; u < g.kernel_rows; ++u)
      for (int v = 0; v < g.size; v += unit)
        *pixels++ = static_cast<std::int32_t>(((c * rows + u) * columns + v) / unit);
}

}  // namespace

void CpuBackend::patch_product(Context& ctx, const PatchGeometry& g, const Tensor& image, const Tensor& w,
                               const Tensor& bias, bool coarse, const Tensor& tokens) {
  const std::int64_t k = w.shape[0], n = w.shape[1], of_sample = g.token_rows * g.token_columns,
                     pixels = image.count() / image.shape[0];
  const bool pairs = rounds(coarse) && g.size % 2 == 0 && image.shape[3] % 2 == 0;
  const bool here = tokens.dtype == DType::f32 && n % small::kLanes == 0 &&
                    pixels < std::numeric_limits<std::int32_t>::max() && (pairs || !rounds(coarse)) &&
                    by_tiles({'N', 'N', of_sample, n, k, k, n});
  if (!here) return ReferenceBackend::patch_product(ctx, g, image, w, bias, coarse, tokens);
  const int unit = pairs ? 2 : 1;
  Tensor places = ctx.take({of_sample + k / unit}, DType::f32);  // of 32-bit integers
  Tensor words, right;
  if (pairs) {
    words = ctx.take({small::padded(image.count()) / 2}, DType::f32);
    right = ctx.take({(k + 1) / 2, n}, DType::f32);
  } else if (w.dtype == DType::bf16) {
    right = ctx.take(w.shape, DType::f32);
  }
  if (!ctx.planning()) {
    auto* first = reinterpret_cast<std::int32_t*>(places.as<float>());
    const std::int32_t* pixel = first + of_sample;
    list_places(g, image, unit, first, first + of_sample);
    const std::int64_t pieces = (of_sample + kTokens - 1) / kTokens;
    const auto for_tokens = [&](auto&& product) {
      for_pieces(team(tokens.shape[0] * n * k / 32), image.shape[0] * pieces, [&](std::int64_t p) {
        const std::int64_t sample = p / pieces, at = p % pieces * kTokens, count = std::min(kTokens, of_sample - at);
        float* out = tokens.as<float>() + (sample * of_sample + at) * n;
        product(sample, first + at, count, out);
        if (!bias.none()) add_bias(bias.as<float>(), out, count, n);
      });
    };
    if (pairs) {
#ifdef ZONDA_AVX512_BF16
      auto* rounded = reinterpret_cast<BFloat16*>(words.as<float>());
      constexpr std::int64_t piece = 8192;
      for_pieces(team(image.count()), (image.count() + piece - 1) / piece, [&](std::int64_t p) {
        const std::int64_t from = p * piece, count = std::min(piece, image.count() - from);
        small::round_all(image.as<float>() + from, count / small::kLanes * small::kLanes, rounded + from);
        for (std::int64_t i = from + count / small::kLanes * small::kLanes; i < from + count; ++i)
          rounded[i] = BFloat16(image.as<float>()[i]);
      });
      auto* of_weights = reinterpret_cast<small::Pair*>(right.as<float>());
      for_half_type(w.dtype, [&](auto half) { small::pair_rows(w.as<decltype(half)>(), k, n, of_weights); });
      const auto* word = reinterpret_cast<const small::Pair*>(rounded);
      for_tokens([&](std::int64_t sample, const std::int32_t* rows, std::int64_t count, float* out) {
        small::pair_product_at(word + sample * pixels / 2, rows, pixel, of_weights, n, out, n, count, n, k / 2);
      });
#endif
    } else {
      if (!right.none()) cast(ctx, w, right);
      const float* of_weights = right.none() ? w.as<float>() : right.as<float>();
      for_tokens([&](std::int64_t sample, const std::int32_t* rows, std::int64_t count, float* out) {
        small::product_at(image.as<float>() + sample * pixels, rows, pixel, of_weights, n, out, n, count, n, k);
      });
    }
  }
  ctx.release(places, words, right);
}

}  // namespace zonda::model
