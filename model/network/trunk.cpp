#include "model/network/trunk.hpp"

#include <tuple>

namespace zonda::model {

namespace {

enum class Reach { window, shifted_window, across_windows, everything };

/// Who attends to whom in a layer.
struct Mixing {
  Reach reach;
  int window = 0, lift = 1;
  friend auto operator<=>(const Mixing&, const Mixing&) = default;
};

/// Without global blocks, even blocks attend within windows and odd ones across them. Several windows take turns; a
/// window's second turn is shifted.
Mixing mixing_of(const NetworkShape& shape, int block) {
  const int kinds = static_cast<int>(shape.windows.size());
  int turn = block / 2;
  if (shape.global_every > 0) {
    if (block % shape.global_every == shape.global_every - 1) return {Reach::everything, 0, shape.lift};
    turn = block - block / shape.global_every;
  } else if (block % 2 == 1) {
    return {Reach::across_windows, turn % kinds, shape.lift};
  }
  return {turn / kinds % 2 == 1 ? Reach::shifted_window : Reach::window, turn % kinds, shape.lift};
}

Sequences sequences_of(const Mixing& mixing, const NetworkShape& shape, const TokenGrid& grid, DType dtype,
                       Memory& memory) {
  const int head_size = shape.width / shape.heads;
  const auto [rows, columns] = shape.windows[static_cast<std::size_t>(mixing.window)];
  switch (mixing.reach) {
    case Reach::across_windows:
      return across_window_sequences(grid, rows, columns, head_size, dtype, memory, mixing.lift);
    case Reach::everything:
      return global_sequence(grid, head_size, dtype, memory, mixing.lift);
    default:
      return window_sequences(grid, rows, columns, mixing.reach == Reach::shifted_window, head_size, dtype, memory,
                              mixing.lift);
  }
}

}  // namespace

Trunk::Trunk(ParameterStore& store, const NetworkShape& shape, const TokenGrid& grid, DType dtype, Memory& memory) {
  std::map<Mixing, std::size_t> known;
  const auto table_of = [&](const Mixing& mixing) {
    const auto [at, is_new] = known.emplace(mixing, tables_.size());
    if (is_new) tables_.push_back(sequences_of(mixing, shape, grid, dtype, memory));
    return at->second;
  };
  const AdapterShape adapters{shape.rank, shape.buckets()};
  const TokenRaster raster{grid.patches.token_rows, grid.patches.token_columns, grid.periodic};
  int lifted = 0;
  for (int i = 0; i < shape.blocks; ++i) {
    layers_.push_back({Block(store, "block" + std::to_string(i), shape.width, shape.heads, shape.mlp_ratio, adapters),
                       table_of(mixing_of(shape, i)), std::nullopt});
    for (; lifted < shape.lift_blocks && (lifted + 1) * shape.blocks <= (i + 1) * shape.lift_blocks; ++lifted) {
      const std::string name = "lift" + std::to_string(lifted);
      Depthwise convolution(store, name + ".convolution", raster, shape.width);
      layers_.push_back(
          {Block(store, name, shape.width, shape.heads, shape.mlp_ratio, adapters, Block::Start::zero_branches),
           table_of({Reach::shifted_window, 0, 1}), convolution});
    }
  }
}

void Trunk::forward(Context& ctx, std::size_t i, const Tensor& modulation, Activations& a, Recompute recompute) const {
  const Layer& layer = layers_[i];
  Saved& saved = a.layers[i];
  saved.input = a.output;
  if (layer.convolution) {
    saved.convolved = ctx.take(saved.input.shape);
    layer.convolution->forward(ctx, saved.input, saved.convolved);
  }
  a.output = ctx.take(saved.input.shape);
  layer.block.forward(ctx, table(layer), layer.convolution ? saved.convolved : saved.input, modulation, a.output,
                      saved.block, recompute);
  if (ctx.keep) return;
  if (layer.convolution) ctx.release(saved.convolved);
  ctx.release(saved.input);
}

void Trunk::backward(Context& ctx, Activations& a, const Tensor& d, const Tensor& dmodulation) const {
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Layer& layer = layers_[i];
    Saved& saved = a.layers[i];
    layer.block.backward(ctx, table(layer), layer.convolution ? saved.convolved : saved.input, saved.block, d,
                         dmodulation);
    if (layer.convolution) {
      layer.convolution->backward(ctx, saved.input, d);
      ctx.release(saved.convolved);
    }
    ctx.release(saved.input);
  }
}

Tensor Trunk::tangent(Context& ctx, const Activations& a, Tensor d) const {
  Tensor next = ctx.take(d.shape);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const Saved& saved = a.layers[i];
    if (layer.convolution) {
      layer.convolution->tangent(ctx, d, next);
      std::swap(d, next);
    }
    layer.block.tangent(ctx, table(layer), layer.convolution ? saved.convolved : saved.input, saved.block, d, next);
    std::swap(d, next);
  }
  ctx.release(next);
  return d;
}

void Trunk::merge_adapters(Context& ctx, int bucket) const {
  for (const Layer& layer : layers_) layer.block.merge_adapters(ctx, bucket);
}

std::size_t Trunk::table_bytes() const {
  std::size_t bytes = 0;
  for (const Sequences& sequences : tables_) bytes += sequences.bytes();
  return bytes;
}

double Trunk::flops(const NetworkShape& shape, std::int64_t tokens) const {
  const double rows = double(tokens), width = shape.width, ratio = shape.mlp_ratio;
  double work = 0;
  for (const Layer& layer : layers_) {
    work += 2 * rows * width * width * (4 + 2 * ratio) + 2 * rows * shape.rank * width * (2 * (1 + ratio) + 6);
    if (layer.convolution) work += 2 * 9 * rows * width;
    const SequenceTable& sequences = table(layer);
    for (std::size_t q = 0; q + 1 < sequences.offsets.size(); ++q) {
      const double length = sequences.offsets[q + 1] - sequences.offsets[q];
      work += 4 * length * length * width;
    }
  }
  return work;
}

}  // namespace zonda::model
