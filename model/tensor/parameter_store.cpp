#include "model/tensor/parameter_store.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace zonda::model {

namespace {
constexpr std::int64_t kAlignment = 64;  // numbers; every parameter starts on a cache line in any element type
}

std::int64_t ParameterCut::index(std::int64_t i) const {
  std::int64_t inner = 1;
  for (int d = dimension + 1; d < whole.rank(); ++d) inner *= whole[d];
  const std::int64_t run = part[dimension] * inner;
  return (i / run * whole[dimension] + first) * inner + i % run;
}

std::int64_t ParameterCut::run() const {
  std::int64_t numbers = part[dimension];
  for (int d = dimension + 1; d < part.rank(); ++d) numbers *= part[d];
  return numbers;
}

void ParameterCut::put(std::int64_t which, std::span<const float> numbers, std::span<float> of_whole) const {
  const auto length = static_cast<std::size_t>(run()), all = length * static_cast<std::size_t>(parts());
  float* to = of_whole.data() + static_cast<std::size_t>(which) * length;
  for (std::size_t at = 0; at < numbers.size(); at += length, to += all)
    std::copy_n(numbers.begin() + static_cast<std::ptrdiff_t>(at), length, to);
}

void ParameterCut::take(std::int64_t which, std::span<const float> of_whole, std::span<float> numbers) const {
  const auto length = static_cast<std::size_t>(run()), all = length * static_cast<std::size_t>(parts());
  const float* from = of_whole.data() + static_cast<std::size_t>(which) * length;
  for (std::size_t at = 0; at < numbers.size(); at += length, from += all)
    std::copy_n(from, length, numbers.begin() + static_cast<std::ptrdiff_t>(at));
}

Shape Parameter::whole_shape() const {
  if (!cut) return shape;
  // Groups of columns are one dimension, the last, of the parameter.
  const int dimension = cut->whole.rank() == shape.rank() ? cut->dimension : shape.rank() - 1;
  return shape.with(dimension, shape[dimension] * cut->parts());
}

std::int64_t ParameterStore::whole_count() const {
  std::int64_t count = 0;
  for (const Parameter& p : parameters_) count += p.whole_shape().count();
  return count;
}

ParameterId ParameterStore::add(std::string name, Shape shape, bool decay, float initial_scale, float initial_value) {
  if (values_.data()) fail(ErrorKind::failure, "parameter {} added after the values were allocated", name);
  if (find(name) >= 0) fail(ErrorKind::failure, "two parameters are named {}", name);
  Parameter p{std::move(name), shape, extent_, shape.count(), decay, initial_scale, initial_value};
  count_ += p.count;
  extent_ += (p.count + kAlignment - 1) / kAlignment * kAlignment;
  parameters_.push_back(std::move(p));
  return static_cast<ParameterId>(parameters_.size()) - 1;
}

void ParameterStore::keep_sparse(const SparseArenas& which) {
  if (memory_->device() != Device::cpu) fail(ErrorKind::failure, "a device's memory has no pages to give back");
  sparse_ = which;
}

void ParameterStore::discard(const Tensor& arena, std::int64_t first, std::int64_t count) {
  for (const Buffer* buffer : {&values_, &gradients_, &first_moment_, &second_moment_, &average_, &copies_})
    if (buffer->data() == arena.data)
      buffer->memory().discard(arena.slice(first, count).data, static_cast<std::size_t>(count) * size_of(arena.dtype));
}

Buffer ParameterStore::arena(DType type, bool sparse) const {
  return Buffer(static_cast<std::size_t>(extent_) * size_of(type), sparse ? sparse_host_memory() : *memory_);
}

void ParameterStore::allocate_values() {
  if (is_lent()) fail(ErrorKind::failure, "values are allocated where they are lent");
  if (!values_.data()) values_ = arena(dtype_, sparse_.values);
}

void ParameterStore::lend(ParameterId id, const Tensor& value, const Tensor& scales) {
  const Parameter& p = at(id);
  const bool quantised = value.dtype == DType::i8;
  if (values_.data()) fail(ErrorKind::failure, "parameter {} lent where values are allocated", p.name);
  if (value.shape != p.shape || value.device != memory_->device() || !value.data || value.dtype == DType::f64)
    fail(ErrorKind::failure, "parameter {} is {}, lent was {} {}", p.name, p.shape.to_string(), name_of(value.dtype),
         value.shape.to_string());
  if (quantised && (p.shape.rank() != 2 || scales.shape != Shape{p.shape[1]} || scales.dtype != DType::f32))
    fail(ErrorKind::failure, "parameter {}: lent int8 numbers need a scale of each column", p.name);
  lent_.resize(parameters_.size());
  lent_[static_cast<std::size_t>(id)] = {value, quantised ? scales : Tensor{}};
  values_changed();
  lent_versions_.resize(parameters_.size());
  lent_versions_[static_cast<std::size_t>(id)] = version_;
}

bool ParameterStore::complete() const {
  return values_.data() || (is_lent() && std::none_of(lent_.begin(), lent_.end(), [](const QuantisedValue& value) {
                              return value.numbers.none();
                            }));
}

ParameterStore::QuantisedValue ParameterStore::quantised(ParameterId id) const {
  const QuantisedValue* value = lent(id);
  return value && value->numbers.dtype == DType::i8 ? *value : QuantisedValue{};
}

void ParameterStore::allocate_gradients() {
  if (!gradients_.data()) gradients_ = arena(dtype_, sparse_.gradients);
}

void ParameterStore::allocate_optimiser(bool average) {
  if (!first_moment_.data()) first_moment_ = arena(dtype_, sparse_.moments);
  if (!second_moment_.data()) second_moment_ = arena(dtype_, sparse_.moments);
  if (average && !average_.data()) {
    allocate_values();
    average_ = arena(dtype_, sparse_.moments);
    if (!sparse_.moments) memory_->copy(average_.data(), values_.data(), values_.bytes());
  }
}

ParameterId ParameterStore::find(std::string_view name) const {
  const auto it =
      std::find_if(parameters_.begin(), parameters_.end(), [&](const Parameter& p) { return p.name == name; });
  return it == parameters_.end() ? -1 : static_cast<ParameterId>(it - parameters_.begin());
}

Tensor ParameterStore::value(ParameterId id) const {
  if (const QuantisedValue* value = lent(id); value && value->numbers.dtype == dtype_) return value->numbers;
  return values_.data() ? view(values_, id) : Tensor(nullptr, at(id).shape, dtype_, memory_->device());
}

Tensor ParameterStore::stored(ParameterId id) const {
  const QuantisedValue* value = lent(id);
  return value && !value->numbers.none() ? value->numbers : this->value(id);
}

Tensor ParameterStore::gradient(ParameterId id) const {
  return gradients_.data() ? view(gradients_, id) : Tensor(nullptr, at(id).shape, dtype_, memory_->device());
}

Tensor ParameterStore::copy_of(ParameterId id) const {
  if (const QuantisedValue* value = lent(id); value && value->numbers.dtype == DType::bf16) return value->numbers;
  const Parameter& p = at(id);
  Tensor tensor(nullptr, p.shape, DType::bf16, memory_->device());
  if (copies_.data())
    tensor.data = static_cast<std::byte*>(copies_.data()) + static_cast<std::size_t>(p.offset) * size_of(DType::bf16);
  return tensor;
}

void ParameterStore::allocate_copies() {
  if (!copies_.data()) copies_ = arena(DType::bf16, sparse_.values);
}

Tensor ParameterStore::copies() const {
  return copies_.data() ? Tensor(copies_.data(), {extent_}, DType::bf16, memory_->device()) : Tensor{};
}

Tensor ParameterStore::view(const Buffer& buffer, ParameterId id) const {
  if (!buffer.data()) return {};
  const Parameter& p = at(id);
  return Tensor(static_cast<std::byte*>(buffer.data()) + static_cast<std::size_t>(p.offset) * size_of(dtype_), p.shape,
                dtype_, memory_->device());
}

Tensor ParameterStore::whole(const Buffer& buffer) const {
  return buffer.data() ? Tensor(buffer.data(), {extent_}, dtype_, memory_->device()) : Tensor{};
}

void ParameterStore::zero_gradients() {
  allocate_gradients();
  gradients_.memory().discard(gradients_.data(), gradients_.bytes());
}

void ParameterStore::swap_average() {
  if (!average_.data()) fail(ErrorKind::failure, "the parameters have no moving average to exchange with");
  // Contents, not buffers: views of the values stay valid. Piece by piece, through a small buffer.
  constexpr std::size_t piece = std::size_t{4} << 20;
  Buffer spare(std::min(piece, values_.bytes()), *memory_);
  auto *a = static_cast<std::byte*>(values_.data()), *b = static_cast<std::byte*>(average_.data());
  for (std::size_t at = 0; at < values_.bytes(); at += piece) {
    const std::size_t n = std::min(piece, values_.bytes() - at);
    memory_->copy(spare.data(), a + at, n);
    memory_->copy(a + at, b + at, n);
    memory_->copy(b + at, spare.data(), n);
  }
  values_changed();
}

std::size_t ParameterStore::bytes() const {
  return values_.bytes() + gradients_.bytes() + first_moment_.bytes() + second_moment_.bytes() + average_.bytes() +
         copies_.bytes();
}

}  // namespace zonda::model
