#pragma once
// Adapter: y += (x A_k) B_k, a correction of low rank for each bucket k of lead time (LoRA: Hu et al. 2021). B starts
// at zero. Which bucket a sample takes, the context says; without buckets adapters are off.
#include <string>
#include <string_view>

#include "model/network/split.hpp"
#include "model/ops/backend.hpp"
#include "model/tensor/parameter_store.hpp"

namespace zonda::model {

/// Sizes of the adapters of a network; rank 0: none.
struct AdapterShape {
  int rank = 0, buckets = 0;
};

class Adapter {
 public:
  /// `in` and `out` are this rank's, of a layer split as `split` says.
  Adapter(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out, const AdapterShape& shape,
          const Split& split = {});

  /// y accumulates.
  void forward(Context& ctx, const Tensor& x, const Tensor& y) const;
  /// dx accumulates.
  void backward_input(Context& ctx, const Tensor& dy, const Tensor& dx) const;
  void backward_weight(Context& ctx, const Tensor& x, const Tensor& dy) const;
  /// weight [in, out] += A_k B_k.
  void merge(Context& ctx, int bucket, const Tensor& weight) const;

  bool active(const Context& ctx) const { return !ctx.buckets.empty(); }
  bool learns(const Context& ctx) const { return ctx.weight_gradients && active(ctx) && !store_->at(in_).frozen; }

 private:
  Tensor matrix(const Context& ctx, ParameterId id, std::int64_t bucket) const;
  /// Calls f(bucket, first row, rows) for each sample.
  template <class F>
  void for_samples(const Context& ctx, const Tensor& rows, F&& f) const;

  ParameterStore* store_;
  Split split_;
  int rank_;
  ParameterId in_, out_;  // A [K, in, rank], B [K, rank, out]
};

/// Whether a parameter is an adapter's.
inline bool is_adapter(std::string_view name) {
  return name.find(".adapter_") != std::string_view::npos;
}

}  // namespace zonda::model
