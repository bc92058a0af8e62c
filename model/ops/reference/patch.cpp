#include "model/ops/reference/reference_backend.hpp"

namespace zonda::model {

namespace {

/// f(patch index, image index, number of patches that share the pixel's row)
template <class F>
void for_each_pixel(const PatchGeometry& g, const Tensor& image, F&& f) {
  const std::int64_t batch = image.shape[0], channels = image.shape[1], rows = image.shape[2], columns = image.shape[3];
  const std::int64_t numbers = channels * g.kernel_rows * g.size;
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t i = 0; i < g.token_rows; ++i)
      for (std::int64_t j = 0; j < g.token_columns; ++j)
        for (std::int64_t c = 0; c < channels; ++c)
          for (int u = 0; u < g.kernel_rows; ++u)
            for (int v = 0; v < g.size; ++v) {
              const bool shared =
                  g.kernel_rows > g.size && ((u == 0 && i > 0) || (u == g.size && i + 1 < g.token_rows));
              f(((b * g.token_rows + i) * g.token_columns + j) * numbers + (c * g.kernel_rows + u) * g.size + v,
                ((b * channels + c) * rows + i * g.size + u) * columns + j * g.size + v, shared ? 2 : 1);
            }
}

}  // namespace

void ReferenceBackend::patch_gather(Context& ctx, const PatchGeometry& geometry, const Tensor& image,
                                    const Tensor& patches, bool average) {
  if (ctx.planning()) return;
  for_wide_type(image.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each_pixel(geometry, image, [&](std::int64_t patch, std::int64_t pixel, int share) {
      patches.as<T>()[patch] = image.as<T>()[pixel] / T(average ? share : 1);
    });
  });
}

void ReferenceBackend::patch_scatter(Context& ctx, const PatchGeometry& geometry, const Tensor& patches,
                                     const Tensor& image, bool average) {
  if (ctx.planning()) return;
  fill(ctx, image, 0);
  for_wide_type(image.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each_pixel(geometry, image, [&](std::int64_t patch, std::int64_t pixel, int share) {
      image.as<T>()[pixel] += patches.as<T>()[patch] / T(average ? share : 1);
    });
  });
}

}  // namespace zonda::model
