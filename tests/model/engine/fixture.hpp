#pragma once
// A file of tests/model/fixtures: what PyTorch computed (tests/peers/torch_fixtures.py), in safetensors layout.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace zonda::model::testing {

struct Fixture {
  explicit Fixture(const std::string& name) {
    const auto path = std::filesystem::path(ZONDA_SOURCE_DIR) / "tests/model/fixtures" / (name + ".safetensors");
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    std::uint64_t length = 0;
    if (bytes.size() < sizeof length) throw std::runtime_error("no fixture " + path.string());
    std::memcpy(&length, bytes.data(), sizeof length);
    const char* const data = bytes.data() + sizeof length + length;
    const auto header = nlohmann::json::parse(bytes.data() + sizeof length, data);
    for (const auto& [key, entry] : header.items()) {
      if (key == "__metadata__") {
        description = nlohmann::json::parse(entry.at("case").get<std::string>());
        continue;
      }
      const std::size_t first = entry.at("data_offsets")[0], end = entry.at("data_offsets")[1];
      std::vector<double>& numbers = tensors[key];
      if (entry.at("dtype") == "F64") {
        numbers.resize((end - first) / sizeof(double));
        std::memcpy(numbers.data(), data + first, end - first);
      } else {
        std::vector<float> single((end - first) / sizeof(float));
        std::memcpy(single.data(), data + first, end - first);
        numbers.assign(single.begin(), single.end());
      }
    }
  }
  const std::vector<double>& at(const std::string& key) const { return tensors.at(key); }

  nlohmann::json description;  ///< kind of module, its grid and sizes
  /// `parameter.*`, `input.*`, `output.y`, `gradient.*`, `losses`, `error_fp32.*`, `error_bf16.*`
  std::map<std::string, std::vector<double>> tensors;
};

}  // namespace zonda::model::testing
