#pragma once
// What a ForecastNetwork is made of; for its own sources alone.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/grid.hpp"
#include "model/network/conditioning.hpp"
#include "model/network/embedding.hpp"
#include "model/network/forecast_network.hpp"
#include "model/network/head.hpp"
#include "model/network/stages.hpp"
#include "model/network/trunk.hpp"

namespace zonda::model {

struct ForecastNetwork::Implementation {
  /// What a forward pass leaves for backward and tangent.
  struct Activations {
    Tensor noise, modulation;
    Conditioning::Saved conditioning;
    Trunk::Activations trunk;
    Head::Saved head;
  };
  /// Where the parts of a planned step begin in the arena.
  struct Sections {
    std::size_t tangent = 0, adjoint = 0, backward = 0;
  };
  /// What a batch on its way through the network has of its own.
  struct Lane {
    explicit Lane(Memory& memory) : arena(memory) {}
    Arena arena;
    Activations activations;
    Tensor x, condition;                // of the last forward()
    std::vector<std::int32_t> buckets;  // of adapters, as they were then
    bool kept = false;                  // the last forward()'s activations are there
    std::vector<parallel::Event> sent;  // to other stages, out of the arena
    /// The arena's memory may be written again.
    void settle();
  };

  Implementation(const NetworkConfig& configuration, const Grid& on, int in, int out, int conditions, DType type,
                 std::shared_ptr<Backend> which, const std::vector<int>& levels, const Sharding& sharding);
  ~Implementation();
  Implementation(const Implementation&) = delete;
  Implementation& operator=(const Implementation&) = delete;

  DType trunk() const { return config.precision == "bf16" && dtype == DType::f32 ? DType::bf16 : dtype; }
  Context context(Arena& in, Use purpose, std::span<const std::int32_t> adapters_of_samples) const;
  Recompute recompute_of(std::size_t block, const RecomputePolicy& policy, Use purpose) const;

  // --- parameters in use, one bucket after the other
  std::size_t bucket_named(std::string_view name) const;
  /// The copies of all parameters at once, where nobody brings values one bucket after the other.
  void refresh_copies(Context& ctx);
  /// The trunk's products read bf16 copies of the weights.
  void begin_use(Context& ctx, std::size_t number, bool gradients = false);
  void end_use(Context& ctx, std::size_t number, bool gradients = false);
  /// Around each layer.
  Trunk::Watch watch(Context& ctx, bool gradients);
  WorkWatch watch_of_head(const Context& ctx) const;

  // --- passes through the layers of this stage
  void forward(Context& ctx, Lane& lane, std::int64_t n, const Tensor& x, const Tensor& condition, const Tensor& noise,
               const Tensor& y, Use purpose, const RecomputePolicy& policy);
  void backward(Context& ctx, Lane& lane, std::int64_t n, const Tensor& x, const Tensor& condition, const Tensor& dy,
                const Tensor& dx);
  void tangent(Context& ctx, Lane& lane, std::int64_t n, const Tensor& x, const Tensor& dx, const Tensor& dy);
  /// The modulation's gradient, [chunks n, 6 D] of this rank's chunks, becomes the sum over all chunks, [n, 6 D].
  void add_chunks(Context& ctx, std::int64_t n, Tensor& dmodulation);
  std::int64_t chunks_here() const { return slab.chunks() > 1 ? slab.chunks_here() : 1; }
  /// Walks a whole step without memory.
  Sections walk(Lane& lane, int n, Use purpose, const RecomputePolicy& policy);
  Tensor image(std::int64_t n, int channels) const;
  std::span<const std::int64_t> raster_chunks() const {
    return slab.chunks() > 1 ? std::span(slab.chunk_offsets()) : std::span<const std::int64_t>{};
  }
  /// What goes from stage to stage: a batch's tokens, modulation and its gradient.
  Shape token_shape(std::int64_t n, std::int64_t tokens_of_sample) const { return {n * tokens_of_sample, shape.width}; }
  Shape modulation_shape(std::int64_t n) const { return {n, 6 * shape.width}; }
  std::size_t bytes_of(const Shape& numbers) const {
    return static_cast<std::size_t>(numbers.count()) * size_of(dtype);
  }

  bool frozen_as_planned() const;
  void forget_plan();
  Lane& lane_for(int number);
  void check(const char* what, const Tensor& tensor, const Shape& expected) const;
  bool is_precise(std::string_view name) const { return precise && precise(name); }
  /// Of this stage's buckets.
  std::int64_t numbers_here() const;
  void cut_into_stages_of_ranks();
  // Of one sample's forward pass: of all layers, and of this stage's.
  double flops() const;
  double flops_here() const;
  double head_flops() const;

  NetworkConfig config;
  NetworkShape shape;
  Grid grid;
  int inputs, outputs, condition_numbers;
  DType dtype;
  std::shared_ptr<Backend> backend;
  ParameterStore store;
  TokenGrid tokens;
  Slab slab;
  Embedding embedding;
  Conditioning conditioning;
  std::optional<Linear> merged_response;  // in the bucket of the conditioning
  Head head;
  Trunk blocks;
  StageLink link;

  std::vector<Bucket> buckets_of_arena;
  std::size_t embedding_bucket, conditioning_bucket, head_bucket;
  std::vector<std::size_t> layer_buckets;
  std::vector<std::uint64_t> copied;  // version of the values that each bucket's bf16 copy is of
  BucketObserver* observer = nullptr;
  WorkObserver at_work;
  TokenTap tap;
  std::function<bool(std::string_view)> precise;
  bool adapters;                      // on
  std::vector<std::int32_t> buckets;  // [batch] of adapters
  RecomputePolicy recompute;
  Sections sections;
  int batch = 0;
  std::uint64_t plans = 0;  // made so far
  Use use = Use::inference;
  std::vector<bool> frozen;  // [parameters] when the plan was made
  std::vector<Lane> lanes;
};

}  // namespace zonda::model
