#pragma once
// SharedTensors: weights by their content. Models that have tensors in common - regions on one backbone, releases that
// differ by adapters - map them once.
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "inference/bundle/bundle.hpp"
#include "inference/bundle/lent_parameters.hpp"

namespace zonda::edge {

class SharedTensors {
 public:
  struct Found {
    inference::StoredTensor tensor;
    bool resident;  ///< some model had it already
  };
  /// The tensor under its SHA-256: where a living model has it, or in the bundle's file, whose bytes are then compared
  /// with the checksum unless they have been already. Throws Error(data): damaged.
  Found get(const inference::Bundle& bundle, const inference::BundleTensor& tensor);
  /// Whether a living model has it.
  bool has(const inference::BundleTensor& tensor) const;
  /// Of the tensors that living models have, each counted once.
  std::size_t bytes() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const inference::MappedTensor>> tensors_;
};

}  // namespace zonda::edge
