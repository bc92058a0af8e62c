#pragma once
// Context: what a module needs to run: a backend, an arena, the element type.
#include <cstdint>
#include <span>

#include "model/tensor/arena.hpp"

namespace zonda::model {

class Backend;

class Context {
 public:
  Context(Backend& backend, Arena& arena, DType dtype) : Context(backend, arena, dtype, dtype) {}
  Context(Backend& backend, Arena& arena, DType dtype, DType trunk)
      : backend_(&backend), arena_(&arena), dtype_(dtype), trunk_(trunk) {}
  /// True in the pass that plans memory: operations take and release their scratch and do nothing else.
  bool planning() const { return arena_->planning(); }
  DType dtype() const { return dtype_; }
  /// Of the operands of the trunk's matrix products and attention: bf16 in mixed precision, else dtype().
  DType trunk() const { return trunk_; }
  Tensor take(Shape shape) { return arena_->take(shape, dtype_); }
  Tensor take(Shape shape, DType dtype) { return arena_->take(shape, dtype); }
  template <class... T>
  void release(T&... tensors) {
    (arena_->release(tensors), ...);
  }
  /// Forward: keep what backward and tangent need. Otherwise every activation is released after its last use in
  /// forward.
  bool keep = true;
  /// Forward: the trunk's products are of int8 numbers, for inference.
  bool int8 = false;
  /// Backward: accumulate weight gradients.
  bool weight_gradients = true;
  /// The adapter that each sample takes (model/network/adapter.hpp); empty: none.
  std::span<const std::int32_t> buckets;
  /// Where the chunks begin among a sample's tokens that are being worked on, and the tokens' number; sums over tokens
  /// are taken chunk by chunk (model/network/chunk_sum.hpp). Empty: in one go.
  std::span<const std::int64_t> chunks;
  Backend& backend() const { return *backend_; }
  Backend* operator->() const { return backend_; }

 private:
  Backend* backend_;
  Arena* arena_;
  DType dtype_, trunk_;
};

}  // namespace zonda::model
