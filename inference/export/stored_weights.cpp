#include "inference/export/stored_weights.hpp"

#include <algorithm>
#include <cstring>

#include "core/error.hpp"
#include "inference/export/near_base.hpp"
#include "model/ops/backend.hpp"

namespace zonda::inference {

using model::DType;
using model::Tensor;

namespace {

/// Matrices outside the trunk of an int8 bundle: in int8 what depends on the step alone, in bf16 what meets fields.
DType kept_beside_int8(const model::Parameter& parameter) {
  if (parameter.shape.rank() < 2) return DType::f32;
  return parameter.shape.rank() == 2 && parameter.name.starts_with("conditioning.") ? DType::i8 : DType::bf16;
}

template <class T>
std::span<const T> as(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}
template <class T>
std::span<T> as(std::vector<std::byte>& bytes) {
  return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
}

std::vector<std::int64_t> extents(const model::Shape& shape) {
  std::vector<std::int64_t> result;
  for (int i = 0; i < shape.rank(); ++i) result.push_back(shape[i]);
  return result;
}

}  // namespace

StoredWeights::StoredWeights(const model::ForecastNetwork& network, const std::string& precision,
                             const std::set<std::string>& exact, const Bundle* base) {
  const model::ParameterStore& store = network.parameters();
  const std::vector<std::string> int8 = network.int8_matrices();
  const std::set<std::string> bearable(int8.begin(), int8.end());
  for (const std::string& name : exact) {
    std::vector<std::string> known;
    for (const model::Parameter& p : store.list())
      if (is_trunk_matrix(p.name)) known.push_back(p.name);
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail(ErrorKind::usage, "{}", unknown_word("matrix of the trunk", name, known));
  }
  for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id) {
    const model::Parameter& parameter = store.at(id);
    const Tensor value = store.value(id);
    const std::string name = weights_prefix + parameter.name;
    const bool trunk = is_trunk_matrix(parameter.name);
    const bool kept_exact = exact.contains(parameter.name) || !bearable.contains(parameter.name);
    DType dtype = DType::f32;
    if (precision == "bf16" && trunk) dtype = DType::bf16;
    if (precision == "int8") dtype = !trunk ? kept_beside_int8(parameter) : kept_exact ? DType::f32 : DType::i8;
    if (dtype == DType::i8) {
      quantise(network.backend(), name, value);
      continue;
    }
    const bool narrow = dtype == DType::bf16;
    Stored stored{dtype, extents(value.shape), {}};
    stored.bytes.resize(static_cast<std::size_t>(value.count()) * model::size_of(stored.dtype));
    if (narrow) {
      auto* to = reinterpret_cast<model::BFloat16*>(stored.bytes.data());
      for (const float x : value.span<const float>()) *to++ = model::BFloat16(x);
    } else {
      std::memcpy(stored.bytes.data(), value.data, stored.bytes.size());
    }
    order_.push_back(name);
    stored_.emplace(name, std::move(stored));
  }
  if (base) approach(network, *base);
}

void StoredWeights::approach(const model::ForecastNetwork& network, const Bundle& base) {
  const auto alike = [&](const std::string& name) {
    const BundleTensor* old = base.manifest().find_tensor(name);
    const auto mine = stored_.find(name);
    return old && mine != stored_.end() && old->dtype == mine->second.dtype && old->shape == mine->second.shape;
  };
  const auto old_of = [&]<class T>(const std::string& name, T) {
    base.verify(base.entry(name));
    return as<T>(base.tensor(name).bytes);
  };
  const model::ParameterStore& store = network.parameters();
  for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id) {
    const std::string name = weights_prefix + store.at(id).name, scales = name + ".scales";
    if (!alike(name)) continue;
    const std::span<const float> exact = store.value(id).span<const float>();
    Stored& stored = stored_.at(name);
    if (stored.dtype == DType::i8) {
      if (alike(scales))
        keep_near(exact, old_of(name, std::int8_t{}), old_of(scales, float{}), as<std::int8_t>(stored.bytes),
                  as<float>(stored_.at(scales).bytes));
    } else if (stored.dtype == DType::bf16) {
      const auto old = old_of(name, model::BFloat16{});
      for (std::size_t i = 0; i < old.size(); ++i) as<model::BFloat16>(stored.bytes)[i] = keep_near(exact[i], old[i]);
    } else {
      const auto old = old_of(name, float{});
      for (std::size_t i = 0; i < old.size(); ++i) as<float>(stored.bytes)[i] = keep_near(exact[i], old[i]);
    }
  }
}

void StoredWeights::quantise(model::Backend& backend, const std::string& name, const Tensor& value) {
  Stored numbers{DType::i8, extents(value.shape), std::vector<std::byte>(static_cast<std::size_t>(value.count()))};
  Stored scales{DType::f32, {value.shape[1]}, std::vector<std::byte>(static_cast<std::size_t>(value.shape[1]) * 4)};
  model::Arena arena;
  model::Context ctx(backend, arena, DType::f32);
  ctx->quantise_columns(ctx, value, Tensor(numbers.bytes.data(), value.shape, DType::i8),
                        Tensor(scales.bytes.data(), {value.shape[1]}, DType::f32));
  order_.push_back(name);
  order_.push_back(name + ".scales");
  stored_.emplace(name, std::move(numbers));
  stored_.emplace(name + ".scales", std::move(scales));
}

StoredTensors StoredWeights::tensors() const {
  return [this](const std::string& name) {
    const auto found = stored_.find(name);
    if (found == stored_.end()) fail(ErrorKind::failure, "no stored tensor {}", name);
    return StoredTensor{found->second.dtype, found->second.shape, found->second.bytes, nullptr};
  };
}

void StoredWeights::write(BundleWriter& writer, const std::string& file) const {
  for (const std::string& name : order_) {
    const Stored& stored = stored_.at(name);
    writer.add_tensor(file, name, stored.dtype, stored.shape, stored.bytes);
  }
}

std::size_t StoredWeights::bytes() const {
  std::size_t sum = 0;
  for (const auto& [name, stored] : stored_) sum += stored.bytes.size();
  return sum;
}

}  // namespace zonda::inference
