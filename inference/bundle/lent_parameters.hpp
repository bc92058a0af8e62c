#pragma once
// LentParameters: a network reads its parameters where they are stored. Matrices that products read as they are kept
// (f32; bf16; int8 of the trunk; int8 of the conditioning, which each pass widens for a moment) are never copied; the
// few others are widened to f32 once.
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/tensor/parameter_store.hpp"

namespace zonda::inference {

/// A tensor in memory, row-major; `owner` keeps it there.
struct StoredTensor {
  model::DType dtype = model::DType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};
/// By name; throws Error(data) where there is none.
using StoredTensors = std::function<StoredTensor(const std::string& name)>;

/// Whether products of the trunk read this parameter in the precision of the network.
bool is_trunk_matrix(std::string_view parameter);

/// Whether products ahead of the trunk and behind it read this parameter: in bf16 as it lies, or widened as they come.
bool is_outer_matrix(std::string_view parameter);

/// The names of parameters in a bundle: `weights/block0.qkv.weight`; the scales of an int8 one: `... .scales`.
inline constexpr const char* weights_prefix = "weights/";

class LentParameters {
 public:
  /// Lends every parameter. Throws Error(data) naming a tensor that is missing or of another shape.
  void lend(model::ParameterStore& store, const StoredTensors& stored);
  /// Lends one parameter anew.
  void lend(model::ParameterStore& store, model::ParameterId id, const StoredTensors& stored);
  /// Bytes of what had to be widened.
  std::size_t widened_bytes() const;

 private:
  struct Held {
    std::shared_ptr<const void> numbers, scales;
    std::vector<float> widened;
  };
  std::map<model::ParameterId, Held> held_;
};

}  // namespace zonda::inference
