#include "inference/bundle/lent_parameters.hpp"

#include <cstring>

#include "core/error.hpp"

namespace zonda::inference {

using model::DType;
using model::Tensor;

namespace {

void require_shape(const std::string& name, const StoredTensor& found, std::span<const std::int64_t> expected) {
  const auto text = [](std::span<const std::int64_t> shape) {
    std::string result;
    for (const std::int64_t n : shape) result += (result.empty() ? "" : ", ") + std::to_string(n);
    return '[' + result + ']';
  };
  if (!std::equal(found.shape.begin(), found.shape.end(), expected.begin(), expected.end()))
    fail(ErrorKind::data, "tensor {} is {}, this network's is {}: weights of another model", name, text(found.shape),
         text(expected));
}

template <class T>
std::vector<float> widen(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<float>(value);
  }
  return values;
}

/// The network only reads what it is lent.
Tensor view(std::span<const std::byte> bytes, const model::Shape& shape, DType dtype) {
  return {const_cast<std::byte*>(bytes.data()), shape, dtype};
}

}  // namespace

bool is_trunk_matrix(std::string_view parameter) {
  if (!parameter.starts_with("block") && !parameter.starts_with("lift") && !parameter.starts_with("embedding.levels."))
    return false;
  for (const char* layer : {".qkv.weight", ".projection.weight", ".up.weight", ".down.weight"})
    if (parameter.ends_with(layer)) return true;
  return false;
}

bool is_outer_matrix(std::string_view parameter) {
  for (const char* name : {"embedding.patch.weight", "embedding.position.weight", "head.linear.weight"})
    if (parameter == name) return true;
  return false;
}

void LentParameters::lend(model::ParameterStore& store, const StoredTensors& stored) {
  for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id)
    lend(store, id, stored);
}

void LentParameters::lend(model::ParameterStore& store, model::ParameterId id, const StoredTensors& stored) {
  const model::Parameter& parameter = store.at(id);
  const std::string name = weights_prefix + parameter.name;
  const StoredTensor found = stored(name);
  std::vector<std::int64_t> shape;
  for (int i = 0; i < parameter.shape.rank(); ++i) shape.push_back(parameter.shape[i]);
  require_shape(name, found, shape);
  Held held{found.owner, {}, {}};
  const bool trunk = is_trunk_matrix(parameter.name);
  if (found.dtype == DType::i8) {
    const StoredTensor scales = stored(name + ".scales");
    const std::int64_t columns[] = {shape.back()};
    require_shape(name + ".scales", scales, columns);
    held.scales = scales.owner;
    if (trunk || parameter.name.starts_with("conditioning.")) {
      store.lend(id, view(found.bytes, parameter.shape, DType::i8), view(scales.bytes, {columns[0]}, DType::f32));
    } else {
      held.widened = widen<std::int8_t>(found.bytes);
      const std::vector<float> factors = widen<float>(scales.bytes);
      for (std::size_t i = 0; i < held.widened.size(); ++i) held.widened[i] *= factors[i % factors.size()];
    }
  } else if (found.dtype == DType::f32 || (found.dtype == DType::bf16 && (trunk || is_outer_matrix(parameter.name)))) {
    store.lend(id, view(found.bytes, parameter.shape, found.dtype));
  } else if (found.dtype == DType::bf16) {
    held.widened = widen<model::BFloat16>(found.bytes);
  } else {
    fail(ErrorKind::data, "tensor {}: parameters are not kept in {}", name, model::name_of(found.dtype));
  }
  if (!held.widened.empty()) store.lend(id, Tensor::of(held.widened, parameter.shape));
  held_[id] = std::move(held);
}

std::size_t LentParameters::widened_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [id, held] : held_) bytes += held.widened.size() * sizeof(float);
  return bytes;
}

}  // namespace zonda::inference
