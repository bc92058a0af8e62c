#include "inference/edge/runtime/model_weights.hpp"

#include <atomic>

#include "core/error.hpp"

namespace zonda::edge {

ModelWeights::ModelWeights(const inference::Bundle& bundle, SharedTensors& shared) {
  static std::atomic<std::uint64_t> next{1};
  id_ = next++;
  for (const inference::BundleTensor& tensor : bundle.manifest().tensors) {
    if (!tensor.name.starts_with(inference::weights_prefix)) continue;
    SharedTensors::Found found = shared.get(bundle, tensor);
    bytes_ += tensor.bytes;
    if (!found.resident) mapped_anew_ += tensor.bytes;
    tensors_.emplace(tensor.name, std::move(found.tensor));
  }
}

const inference::StoredTensor& ModelWeights::at(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail(ErrorKind::data, "the bundle holds no tensor '{}'", name);
  return found->second;
}

}  // namespace zonda::edge
