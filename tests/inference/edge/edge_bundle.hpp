#pragma once
// Bundles of random int8 matrices with an adapter, of which another may differ by a relative change of its weights.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/philox.hpp"
#include "tests/inference/bundle/small_bundle.hpp"

namespace zonda::edge::testing {

struct EdgeBundle {
  int matrices = 2;
  std::int64_t rows = 64, columns = 48;
  double change = 0;  ///< standard deviation of the relative change of each weight
  int adapter = 0;    ///< which one
  std::string version = "1.0";
};

inline std::string write_edge_bundle(const std::filesystem::path& folder, const EdgeBundle& wanted) {
  inference::BundleWriter writer(folder);
  const Philox weights(1, "weights"), change(2, "change"),
      adapters(static_cast<std::uint64_t>(wanted.adapter), "adapter");
  std::uint64_t drawn = 0;
  for (int m = 0; m < wanted.matrices; ++m) {
    const auto columns = static_cast<std::size_t>(wanted.columns), rows = static_cast<std::size_t>(wanted.rows);
    std::vector<double> matrix(rows * columns), largest(columns, 0.0);
    for (std::size_t i = 0; i < matrix.size(); ++i, ++drawn) {
      matrix[i] = weights.normal(drawn) * (1 + wanted.change * (wanted.change > 0 ? change.normal(drawn) : 0));
      largest[i % columns] = std::max(largest[i % columns], std::abs(matrix[i]));
    }
    std::vector<float> scales(columns);
    std::vector<std::int8_t> numbers(matrix.size());
    for (std::size_t c = 0; c < columns; ++c) scales[c] = static_cast<float>(largest[c] / 127);
    for (std::size_t i = 0; i < matrix.size(); ++i)
      numbers[i] = static_cast<std::int8_t>(std::lround(matrix[i] / scales[i % columns]));
    const std::string name = "weights/matrix." + std::to_string(m);
    writer.add_tensor("weights.bin", name, {wanted.rows, wanted.columns}, std::span<const std::int8_t>(numbers));
    writer.add_tensor("weights.bin", name + ".scales", {wanted.columns}, std::span<const float>(scales));
  }
  std::vector<float> adapter(static_cast<std::size_t>(wanted.columns * 4));
  for (std::size_t i = 0; i < adapter.size(); ++i) adapter[i] = static_cast<float>(adapters.normal(i));
  writer.add_tensor("weights.bin", "weights/adapter", {wanted.columns, 4}, std::span<const float>(adapter));
  writer.add_file("provenance.json", "{\"version\": \"" + wanted.version + "\"}\n");
  return writer.commit(inference::small_manifest());
}

}  // namespace zonda::edge::testing
