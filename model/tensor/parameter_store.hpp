#pragma once
// ParameterStore: values, gradients, optimiser moments and averages of all parameters, each in one contiguous arena
// with the same layout, so that a shard of the parameters is one range of numbers in each.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/tensor/buffer.hpp"
#include "model/tensor/tensor.hpp"

namespace zonda::model {

/// Where a part of a parameter lies in the whole, row-major: [first, first + part[dimension]) of one dimension.
struct ParameterCut {
  Shape whole, part;
  int dimension = 0;
  std::int64_t first = 0;
  /// The number in the whole of the part's i-th number.
  std::int64_t index(std::int64_t i) const;
  /// Of how many equal parts the whole is made.
  std::int64_t parts() const { return whole[dimension] / part[dimension]; }
  /// So many numbers of a part lie together in the whole, and then as many of each other part.
  std::int64_t run() const;
  /// Whether all of the part's numbers lie together.
  bool together() const { return run() == part.count(); }
  /// Between `numbers` of part `which` from its number `first` on, whole runs, and the numbers of the whole that they
  /// belong to: those from first * parts() on, of all parts.
  void put(std::int64_t which, std::span<const float> numbers, std::span<float> of_whole) const;
  void take(std::int64_t which, std::span<const float> of_whole, std::span<float> numbers) const;
};

/// One parameter tensor. `offset` and `count` in numbers, not bytes.
struct Parameter {
  std::string name;  ///< dotted: `block3.qkv.weight`
  Shape shape;
  std::int64_t offset = 0;
  std::int64_t count = 0;
  bool decay = false;       ///< weight decay applies (matrices; not biases, gains, tables)
  float initial_scale = 0;  ///< standard deviation of the normal start (cut at three); 0 starts at `initial_value`
  float initial_value = 0;
  bool frozen = false;                   ///< the optimiser leaves it as it is, and its gradient is not computed
  std::optional<ParameterCut> cut = {};  ///< where this rank holds a part of it
  /// Of the whole, as a rank that holds all of it would have it.
  Shape whole_shape() const;
};

/// Handle of a parameter within its store.
using ParameterId = std::int32_t;

/// Arenas of which only shares are written.
struct SparseArenas {
  bool values = false, gradients = false,
       moments = false;  ///< with the values the copies, with the moments the average
};

class ParameterStore {
 public:
  explicit ParameterStore(DType dtype = DType::f32, Memory& memory = host_memory()) : dtype_(dtype), memory_(&memory) {}
  ParameterId add(std::string name, Shape shape, bool decay, float initial_scale, float initial_value = 0);
  /// Says that a parameter is a part of a larger one, of equal count.
  void cut(ParameterId id, const ParameterCut& cut) { parameters_[static_cast<std::size_t>(id)].cut = cut; }
  /// Freezes or thaws the parameters for which `choose(name)` is true.
  template <class Choose>
  void freeze(Choose&& choose, bool frozen = true) {
    for (Parameter& p : parameters_)
      if (choose(std::string_view(p.name))) p.frozen = frozen;
  }
  /// Those arenas, allocated from now on, take room only where they are written: for a store of which this rank keeps a
  /// share. The average then begins as zero. Throws Error(failure) on a device.
  void keep_sparse(const SparseArenas& which);
  /// Makes the numbers [first, first + count) of an arena (of values(), gradients() ...) zero; their room is free.
  void discard(const Tensor& arena, std::int64_t first, std::int64_t count);
  /// Allocates the values; call once after the last add().
  void allocate_values();
  /// Instead of allocate_values(), for inference: a parameter's numbers where they lie, never written, for as long as
  /// the store lives or until they are lent anew. `value` of its shape is f32, bf16 (read by products in bf16 alone) or
  /// i8 with the columns' `scales` (read by products of int8 alone). Throws Error(failure).
  void lend(ParameterId id, const Tensor& value, const Tensor& scales = {});
  bool is_lent() const { return !lent_.empty(); }
  /// Every parameter is there: allocated, or lent.
  bool complete() const;
  /// A lent int8 matrix and the scales of its columns; none where it is not lent so.
  struct QuantisedValue {
    Tensor numbers, scales;
  };
  QuantisedValue quantised(ParameterId id) const;
  /// Allocates the gradients (idempotent). A store that only infers never calls it.
  void allocate_gradients();
  /// Allocates the two AdamW moments and, when asked, the moving average, filled with the present values (idempotent).
  void allocate_optimiser(bool average);

  DType dtype() const { return dtype_; }
  Memory& memory() const { return *memory_; }
  std::span<const Parameter> list() const { return parameters_; }
  const Parameter& at(ParameterId id) const { return parameters_[static_cast<std::size_t>(id)]; }
  /// Position of a name; -1 if there is none.
  ParameterId find(std::string_view name) const;
  std::int64_t count() const { return count_; }    ///< numbers that are parameters
  std::int64_t whole_count() const;                ///< with what other ranks hold of those that are cut
  std::int64_t extent() const { return extent_; }  ///< numbers in one arena, alignment gaps (always zero) included

  /// Shape without memory before allocate_values() or lend(): enough to plan with.
  Tensor value(ParameterId id) const;
  /// A parameter as it is kept, in whatever type it was lent.
  Tensor stored(ParameterId id) const;
  /// The bf16 copy of a parameter; shape without memory before allocate_copies().
  Tensor copy_of(ParameterId id) const;
  /// Allocates bf16 copies of the values (idempotent), in an arena with the same offsets.
  void allocate_copies();
  Tensor copies() const;  ///< [extent()], bf16; none where not allocated
  /// Counts changes of the values: whoever writes them says so, and the copies are made again before they are read.
  void values_changed() { ++version_; }
  std::uint64_t version() const { return version_; }
  /// Of a parameter that is lent: other numbers have another version; else version().
  std::uint64_t version(ParameterId id) const { return lent_.empty() ? version_ : lent_versions_[std::size_t(id)]; }
  /// Whether copies() as a whole are of the present values; whoever makes them so says it.
  bool copies_stale() const { return copied_ != version_; }
  void copies_made() { copied_ = version_; }
  /// Shape without memory before allocate_gradients().
  Tensor gradient(ParameterId id) const;
  Tensor view(const Buffer& buffer, ParameterId id) const;

  /// Whole arenas, [extent()]. None where not allocated.
  Tensor values() const { return whole(values_); }
  Tensor gradients() const { return whole(gradients_); }
  Tensor first_moment() const { return whole(first_moment_); }
  Tensor second_moment() const { return whole(second_moment_); }
  Tensor average() const { return whole(average_); }
  Tensor average(ParameterId id) const { return view(average_, id); }

  void zero_gradients();
  /// Exchanges values and average: evaluate with the average, exchange again, go on training.
  void swap_average();
  std::size_t bytes() const;  ///< of everything allocated here

 private:
  const QuantisedValue* lent(ParameterId id) const {
    return lent_.empty() ? nullptr : &lent_[static_cast<std::size_t>(id)];
  }
  Tensor whole(const Buffer& buffer) const;
  Buffer arena(DType type, bool sparse) const;
  DType dtype_;
  Memory* memory_;
  SparseArenas sparse_;
  std::vector<Parameter> parameters_;
  std::vector<QuantisedValue> lent_;  // [parameters], or none
  std::vector<std::uint64_t> lent_versions_;
  std::int64_t count_ = 0, extent_ = 0;
  std::uint64_t version_ = 1, copied_ = 0;
  Buffer values_, gradients_, first_moment_, second_moment_, average_, copies_;
};

}  // namespace zonda::model
