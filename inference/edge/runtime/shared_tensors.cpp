#include "inference/edge/runtime/shared_tensors.hpp"

namespace zonda::edge {

SharedTensors::Found SharedTensors::get(const inference::Bundle& bundle, const inference::BundleTensor& tensor) {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<const inference::MappedTensor>& known = tensors_[tensor.sha256];
  std::shared_ptr<const inference::MappedTensor> held = known.lock();
  const bool resident = held && held->bytes.size() == tensor.bytes;
  if (!resident) {
    if (!bundle.is_verified(tensor)) bundle.verify(tensor);
    held = std::make_shared<const inference::MappedTensor>(bundle.tensor(tensor));
    known = held;
  }
  return {{tensor.dtype, tensor.shape, held->bytes, held}, resident};
}

bool SharedTensors::has(const inference::BundleTensor& tensor) const {
  const std::lock_guard lock(mutex_);
  const auto known = tensors_.find(tensor.sha256);
  return known != tensors_.end() && !known->second.expired();
}

std::size_t SharedTensors::bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t sum = 0;
  for (const auto& [sha, tensor] : tensors_)
    if (const auto held = tensor.lock()) sum += held->bytes.size();
  return sum;
}

}  // namespace zonda::edge
