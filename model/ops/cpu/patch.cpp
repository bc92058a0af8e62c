#include <cstring>
#include <type_traits>

#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/for_pieces.hpp"

namespace zonda::model {

namespace {

/// to[j * to_step + v] = share * from[j * from_step + v] of `size` numbers v, for all j; `Size` 0: not known
/// beforehand.
template <int Size>
[[gnu::always_inline]] inline void move_pieces(const float* from, std::int64_t from_step, float* to,
                                               std::int64_t to_step, std::int64_t count, int size, float share) {
  const int numbers = Size > 0 ? Size : size;
  for (std::int64_t j = 0; j < count; ++j, from += from_step, to += to_step)
    for (int v = 0; v < numbers; ++v) to[v] = share * from[v];
}

template <int Size>
[[gnu::always_inline]] inline void add_pieces(const float* from, std::int64_t from_step, float* to,
                                              std::int64_t to_step, std::int64_t count, int size, float share) {
  const int numbers = Size > 0 ? Size : size;
  for (std::int64_t j = 0; j < count; ++j, from += from_step, to += to_step)
    for (int v = 0; v < numbers; ++v) to[v] += share * from[v];
}

/// Calls f(constant size) for the sizes that networks have, f(constant 0) for others.
template <class F>
[[gnu::always_inline]] inline void with_size(int size, F&& f) {
  if (size == 2) return f(std::integral_constant<int, 2>{});
  if (size == 4) return f(std::integral_constant<int, 4>{});
  f(std::integral_constant<int, 0>{});
}

}  // namespace

void CpuBackend::patch_gather(Context& ctx, const PatchGeometry& g, const Tensor& image, const Tensor& patches,
                              bool average) {
  if (ctx.planning()) return;
  if (image.dtype != DType::f32) return ReferenceBackend::patch_gather(ctx, g, image, patches, average);
  const std::int64_t channels = image.shape[1], rows = image.shape[2], columns = image.shape[3];
  const std::int64_t numbers = channels * g.kernel_rows * g.size;
  const bool overlap = average && g.kernel_rows > g.size;
  for_pieces(team(patches.count()), image.shape[0] * g.token_rows, [&](std::int64_t task) {
    const std::int64_t b = task / g.token_rows, i = task % g.token_rows;
    for (std::int64_t c = 0; c < channels; ++c)
      for (int u = 0; u < g.kernel_rows; ++u) {
        const float* from = image.as<float>() + ((b * channels + c) * rows + i * g.size + u) * columns;
        float* to = patches.as<float>() + task * g.token_columns * numbers + (c * g.kernel_rows + u) * g.size;
        const float share = overlap && ((u == 0 && i > 0) || (u == g.size && i + 1 < g.token_rows)) ? 0.5f : 1.0f;
        with_size(g.size, [&](auto size) {
          move_pieces<decltype(size)::value>(from, g.size, to, numbers, g.token_columns, g.size, share);
        });
      }
  });
}

void CpuBackend::patch_scatter(Context& ctx, const PatchGeometry& g, const Tensor& patches, const Tensor& image,
                               bool average) {
  if (ctx.planning()) return;
  if (image.dtype != DType::f32) return ReferenceBackend::patch_scatter(ctx, g, patches, image, average);
  const std::int64_t channels = image.shape[1], rows = image.shape[2], columns = image.shape[3];
  const std::int64_t numbers = channels * g.kernel_rows * g.size;
  for_pieces(
      team(patches.count()), image.shape[0] * channels * rows,
      [&](std::int64_t task) {
        const std::int64_t r = task % rows, c = task / rows % channels, b = task / rows / channels;
        float* to = image.as<float>() + task * columns;
        // A row belongs to patch row r / size and, where kernels overlap, to the last row of the patch before.
        const bool inside = r / g.size<g.token_rows, before = g.kernel_rows> g.size && r % g.size == 0 && r > 0;
        const float share = average && inside && before ? 0.5f : 1.0f;
        if (!inside) std::memset(to, 0, static_cast<std::size_t>(columns) * sizeof(float));
        for (int part = 0; part < 2; ++part) {
          if (part == 0 ? !inside : !before) continue;
          const std::int64_t i = r / g.size - part, u = r - i * g.size;
          const float* from = patches.as<float>() + (b * g.token_rows + i) * g.token_columns * numbers +
                              (c * g.kernel_rows + u) * g.size;
          const bool add = part == 1 && inside;
          with_size(g.size, [&](auto size) {
            constexpr int kSize = decltype(size)::value;
            add ? add_pieces<kSize>(from, numbers, to, g.size, g.token_columns, g.size, share)
                : move_pieces<kSize>(from, numbers, to, g.size, g.token_columns, g.size, share);
          });
        }
      },
      32);
}

}  // namespace zonda::model
