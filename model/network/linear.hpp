#pragma once
// Linear: y = x W + b, W [in, out]. The model of every module here: backward takes what forward was given.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "model/network/adapter.hpp"
#include "model/network/split.hpp"
#include "model/ops/backend.hpp"
#include "model/tensor/buffer.hpp"
#include "model/tensor/parameter_store.hpp"

namespace zonda::model {

class Linear {
 public:
  /// Starts at a normal of standard deviation `gain` / sqrt(in); gain 0 starts at zero. The bias starts at zero. `in`
  /// and `out` are those of the whole.
  Linear(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out, double gain = 1,
         bool bias = true, const Split& split = {});
  /// A layer of the trunk: in mixed precision its products read the bf16 copy of W, in int8 W quantised column by
  /// column; weight gradients stay f32.
  Linear& in_trunk() {
    trunk_ = true;
    return *this;
  }
  /// Where the trunk's products are of int8 numbers, this layer's are not if `choose` says so of its matrix's name.
  void keep_precise(const std::function<bool(std::string_view parameter)>& choose) {
    precise_ = choose(store_->at(weight_).name);
  }
  /// Adds an adapter, unless its rank is 0.
  Linear& adapted(ParameterStore& store, const std::string& name, const AdapterShape& shape) {
    if (shape.rank > 0) adapter_.emplace(store, name, in_, out_, shape, split_);
    return *this;
  }
  std::int64_t in() const { return in_; }  ///< this rank's
  std::int64_t out() const { return out_; }
  /// W as it is kept, and a number that changes with it.
  Tensor stored() const { return store_->stored(weight_); }
  std::uint64_t version() const { return store_->version(weight_); }
  bool is_lent() const { return store_->is_lent(); }
  /// tokens [B token rows token columns, out] = the layer of an image's patches, of a layer without an adapter.
  void forward_patches(Context& ctx, const PatchGeometry& geometry, const Tensor& image, const Tensor& tokens) const;
  /// x [N, in] -> y [N, out]; `activated`, when not none, receives GELU(y), and y may then be none.
  void forward(Context& ctx, const Tensor& x, const Tensor& y, const Tensor& activated = {}) const;
  /// dx overwritten, or accumulates; may be none.
  void backward_input(Context& ctx, const Tensor& dy, const Tensor& dx, bool accumulate = false) const;
  /// Weight and bias gradients accumulate, unless the context asks for none or they are frozen.
  void backward_weight(Context& ctx, const Tensor& x, const Tensor& dy) const;
  void tangent(Context& ctx, const Tensor& dx, const Tensor& dy) const;
  /// Whether backward_weight() does anything.
  bool learns(const Context& ctx) const { return weight_learns(ctx) || (adapter_ && adapter_->learns(ctx)); }
  /// W += A_k B_k of the adapter, if there is one.
  void merge_adapter(Context& ctx, int bucket) const {
    if (adapter_) adapter_->merge(ctx, bucket, store_->value(weight_));
  }

  /// Whether this layer is a product of int8 numbers and nothing else: no adapter, not shared by ranks.
  bool only_int8(const Context& ctx) const { return in_int8(ctx) && !corrected(ctx) && split_.ranks.size() == 1; }
  /// The layer's numbers; W is quantised when it has changed.
  Int8Layer int8_layer(Context& ctx) const;

  /// Bytes of a quantised [in, out] matrix and its scales.
  static std::size_t quantised_bytes(std::int64_t in, std::int64_t out) {
    return static_cast<std::size_t>(in * out) + static_cast<std::size_t>(out) * sizeof(float);
  }

 private:
  struct Quantised {
    Buffer values, scales;
    std::uint64_t version = 0;  ///< of the parameters it was made from
  };
  bool in_int8(const Context& ctx) const {
    return trunk_ && ctx.int8 && !precise_ && (!store_->is_lent() || !store_->quantised(weight_).numbers.none());
  }
  bool weight_learns(const Context& ctx) const { return ctx.weight_gradients && !store_->at(weight_).frozen; }
  bool corrected(const Context& ctx) const { return adapter_ && adapter_->active(ctx); }
  Tensor operand(const Context& ctx) const {
    return trunk_ && ctx.trunk() != ctx.dtype() ? store_->copy_of(weight_) : store_->value(weight_);
  }
  Tensor bias() const { return bias_ >= 0 ? store_->value(bias_) : Tensor{}; }
  /// A matrix lent in int8 to a layer that multiplies in f32, for as long as the product takes.
  Tensor widened(Context& ctx) const;
  bool sums(Split::Kind kind) const { return split_.kind == kind && split_.ranks.size() > 1; }
  /// Runs `product` into f32 or f64 memory, adds it up over the ranks, and puts it, with the bias, into `result`.
  template <class Product>
  void through_sum(Context& ctx, const Tensor& result, Product&& product, const Tensor& bias = {}) const;
  ParameterStore* store_;
  ParameterId weight_, bias_ = -1;
  std::int64_t in_, out_;
  bool trunk_ = false, precise_ = false;
  Split split_;
  std::optional<Adapter> adapter_;
  std::shared_ptr<Quantised> quantised_ = std::make_shared<Quantised>();
};

}  // namespace zonda::model
