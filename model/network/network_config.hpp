#pragma once
// Shape of the forecast network. Presets are configurations of the same code.
#include <optional>
#include <string>
#include <vector>

namespace zonda::config {
class Table;
}

namespace zonda::model {

/// A network lifted to a grid `factor` times as fine: the blocks of the coarse one on interleaved sub-fields, and
/// `blocks` new ones, evenly among them, on the whole token grid.
struct LiftConfig {
  int factor = 3, blocks = 4;
};

/// Adapters by lead time on the blocks' matrices.
struct LoraConfig {
  int rank = 8;
  std::vector<double> edges{2, 5};  ///< days, ascending; a lead from the k-th edge on takes bucket k + 1
};

/// Keys left out take the preset's value.
struct NetworkConfig {
  std::string preset = "test";
  std::optional<int> patch;  ///< grid points a token spans in each direction
  std::optional<int> width;  ///< D
  std::optional<int> blocks;
  std::optional<int> heads;        ///< width / heads is a multiple of 4 (64 in the presets)
  std::optional<int> window_rows;  ///< tokens; the nearest size that tiles the token grid evenly is taken
  std::optional<int> window_columns;
  std::vector<std::string> windows;      ///< `ROWSxCOLUMNS`, taken in turn; instead of rows and columns
  std::optional<int> global_every;       ///< every k-th block attends to all tokens; 0: odd blocks across windows
  std::optional<std::string> embedding;  ///< channels, levels
  std::optional<int> mlp_ratio;
  std::optional<LiftConfig> lift;
  std::optional<LoraConfig> lora;
  bool merged_response = false;    ///< a matrix by which tokens that were merged answer (merged_blocks.hpp)
  int noise = 0;                   ///< random numbers that tell ensemble members apart
  std::string precision = "fp32";  ///< of the trunk's matrix products: fp32 or bf16; in inference int8 as well
  std::string recompute = "auto";  ///< what backward computes again: none, mlp, block, or auto, as memory asks for
};

struct WindowSize {
  int rows, columns;
};

/// A NetworkConfig with every value settled.
struct NetworkShape {
  int patch, width, blocks, heads;
  std::vector<WindowSize> windows;
  int mlp_ratio = 4;
  int global_every = 0;
  bool by_level = false;
  int lift = 1, lift_blocks = 0;
  int rank = 0;
  std::vector<double> lead_edges = {};  ///< days; one adapter more than edges
  int noise = 0;
  bool merged_response = false;

  /// Blocks of both kinds.
  int layers() const { return blocks + lift_blocks; }
  /// Embedding by levels: its width and heads.
  int level_width() const { return width / 4; }
  int level_heads() const { return heads > 4 ? heads / 4 : 1; }
  int buckets() const { return static_cast<int>(lead_edges.size()) + 1; }
};

/// Names of the presets: tiny, test, small, base, meta, ghr, fengwu-ghr, edge.
const std::vector<std::string>& network_presets();
/// Throws Error(usage) for an unknown preset (nearest name proposed) or values that contradict one another.
NetworkShape resolve(const NetworkConfig& config);

void describe(config::Table& table, LiftConfig& config);
void describe(config::Table& table, LoraConfig& config);
void describe(config::Table& table, NetworkConfig& config);

}  // namespace zonda::model
