#pragma once
// Named tensors as a file in safetensors layout (8 bytes length, JSON header, raw numbers), for the scripts of
// tests/peers.
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "model/tensor/memory.hpp"
#include "model/tensor/parameter_store.hpp"

namespace zonda::model {

class TensorDump {
 public:
  /// An f32 tensor in `memory`, as it is now.
  void add(const std::string& name, const Tensor& tensor, Memory& memory) {
    std::vector<char> bytes(tensor.bytes());
    memory.copy_out(bytes.data(), tensor.data, bytes.size());
    auto shape = nlohmann::json::array();
    for (int i = 0; i < tensor.shape.rank(); ++i) shape.push_back(tensor.shape[i]);
    header_[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {data_.size(), data_.size() + bytes.size()}}};
    data_.insert(data_.end(), bytes.begin(), bytes.end());
  }
  void add_values(const ParameterStore& store) { add_all(store, "parameter.", store.values()); }
  void add_gradients(const ParameterStore& store) { add_all(store, "gradient.", store.gradients()); }
  void write(const std::string& path) const {
    const std::string text = header_.dump();
    const auto length = static_cast<std::uint64_t>(text.size());
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << text;
    file.write(data_.data(), static_cast<std::streamsize>(data_.size()));
  }

 private:
  void add_all(const ParameterStore& store, const std::string& prefix, const Tensor& arena) {
    for (const Parameter& p : store.list()) {
      Tensor part = arena.slice(p.offset, p.count);
      add(prefix + p.name, part.reshaped(p.shape), store.memory());
    }
  }
  nlohmann::json header_ = nlohmann::json::object();
  std::vector<char> data_;
};

}  // namespace zonda::model
