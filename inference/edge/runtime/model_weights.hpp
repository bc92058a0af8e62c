#pragma once
// ModelWeights: the parameters of one model where they are mapped.
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "inference/edge/runtime/shared_tensors.hpp"

namespace zonda::edge {

class ModelWeights {
 public:
  /// Maps the tensors `weights/...` of a bundle; those that `shared` has already are neither read nor verified again.
  ModelWeights(const inference::Bundle& bundle, SharedTensors& shared);
  /// By name; throws Error(data).
  const inference::StoredTensor& at(const std::string& name) const;
  std::uint64_t id() const { return id_; }  ///< unique to these weights in this process
  std::size_t bytes() const { return bytes_; }
  std::size_t mapped_anew() const { return mapped_anew_; }  ///< bytes that no other model had

 private:
  std::map<std::string, inference::StoredTensor> tensors_;
  std::uint64_t id_;
  std::size_t bytes_ = 0, mapped_anew_ = 0;
};

}  // namespace zonda::edge
