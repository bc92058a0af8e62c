#pragma once
// Attention within sets of tokens: windows, tokens across windows, or the whole grid, told apart by a table alone.
#include <cstdint>
#include <utility>
#include <vector>

#include "model/tensor/tensor.hpp"

namespace zonda::model {

/// Numbers of rows that an operation looks up. `id` is unique to the values, so that a device keeps its copy by it.
struct IndexTable {
  IndexTable() = default;
  explicit IndexTable(std::vector<std::int32_t> numbers) : values(std::move(numbers)), id(next_id()) {}
  std::vector<std::int32_t> values;
  std::uint64_t id = 0;
  static std::uint64_t next_id();
};

/// The tokens of a sample split into sequences; each token attends to those of its own sequence. Every token is in
/// exactly one.
struct SequenceTable {
  std::vector<std::int32_t> offsets{0};  ///< [sequences + 1] into `tokens`
  std::vector<std::int32_t> tokens;      ///< token numbers, sequence after sequence
  /// Rotary phases of each entry of `tokens`: [entries, head dimension / 2]; pair i of a head is (i, i + head dimension
  /// / 2).
  Tensor cosine, sine;
  std::int32_t longest = 0;
  std::uint64_t id = 0;  ///< IndexTable::next_id(): unique to offsets and tokens
  std::int32_t sequences() const { return static_cast<std::int32_t>(offsets.size()) - 1; }
  std::int32_t token_count() const { return static_cast<std::int32_t>(tokens.size()); }
};

struct AttentionShape {
  std::int64_t batch = 0;
  int heads = 0, head_size = 0;
  static constexpr double epsilon = 1e-6;  ///< of the norm of queries and keys
  int width() const { return heads * head_size; }
};

}  // namespace zonda::model
