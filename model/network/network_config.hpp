#pragma once
// Shape of the forecast network. Presets are configurations of the same code.
#include <optional>
#include <string>
#include <vector>

namespace zonda::config {
class Table;
}

namespace zonda::model {

/// Keys left out take the preset's value.
struct NetworkConfig {
  std::string preset = "test";
  std::optional<int> patch;  ///< grid points a token spans in each direction
  std::optional<int> width;  ///< D
  std::optional<int> blocks;
  std::optional<int> heads;        ///< width / heads is a multiple of 4 (64 in the presets)
  std::optional<int> window_rows;  ///< tokens; the nearest size that tiles the token grid evenly is taken
  std::optional<int> window_columns;
  std::optional<int> mlp_ratio;
  std::string precision = "fp32";  ///< of the trunk's matrix products: fp32 or bf16
  std::string recompute = "auto";  ///< what backward computes again: none, mlp, block, or auto, as memory asks for
};

/// A NetworkConfig with every value settled.
struct NetworkShape {
  int patch, width, blocks, heads, window_rows, window_columns, mlp_ratio;
};

/// Names of the presets: tiny, test, small, base, meta.
const std::vector<std::string>& network_presets();
/// Throws Error(usage) for an unknown preset (nearest name proposed) or values that contradict one another.
NetworkShape resolve(const NetworkConfig& config);

void describe(config::Table& table, NetworkConfig& config);

}  // namespace zonda::model
