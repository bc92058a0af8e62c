#include "model/network/network_config.hpp"

#include <algorithm>

#include "core/config/table.hpp"
#include "core/error.hpp"

namespace zonda::model {

namespace {

struct Preset {
  const char* name;
  NetworkShape shape;
};

// patch, width, blocks, heads, window rows, window columns, mlp ratio
constexpr Preset kPresets[] = {
    {"tiny", {2, 64, 4, 1, 8, 8, 4}},       {"test", {2, 128, 6, 2, 8, 8, 4}},
    {"small", {2, 512, 12, 8, 12, 12, 4}},  {"base", {2, 768, 16, 12, 12, 12, 4}},
    {"meta", {6, 1536, 28, 24, 12, 12, 4}},
};

}  // namespace

const std::vector<std::string>& network_presets() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Preset& preset : kPresets) list.emplace_back(preset.name);
    return list;
  }();
  return names;
}

NetworkShape resolve(const NetworkConfig& config) {
  const auto* preset =
      std::find_if(std::begin(kPresets), std::end(kPresets), [&](const Preset& p) { return config.preset == p.name; });
  if (preset == std::end(kPresets))
    throw Error(ErrorKind::usage, unknown_word("network preset", config.preset, network_presets()));
  NetworkShape s = preset->shape;
  s.patch = config.patch.value_or(s.patch);
  s.width = config.width.value_or(s.width);
  s.blocks = config.blocks.value_or(s.blocks);
  s.heads = config.heads.value_or(s.heads);
  s.window_rows = config.window_rows.value_or(s.window_rows);
  s.window_columns = config.window_columns.value_or(s.window_columns);
  s.mlp_ratio = config.mlp_ratio.value_or(s.mlp_ratio);
  const int smallest = std::min({s.patch, s.width, s.blocks, s.heads, s.window_rows, s.window_columns, s.mlp_ratio});
  if (smallest < 1) fail(ErrorKind::usage, "network: every size must be at least 1");
  if (s.width % s.heads != 0 || s.width / s.heads % 4 != 0)
    fail(ErrorKind::usage, "network: width {} over {} heads must give a whole head size that is a multiple of 4",
         s.width, s.heads);
  return s;
}

void describe(config::Table& table, NetworkConfig& c) {
  table.key("preset", c.preset, "Sizes of the network; keys below replace single ones").one_of(network_presets());
  table.key("patch", c.patch, "Grid points a token spans in each direction").range(1, 64);
  table.key("width", c.width, "Numbers a token holds").range(4, 16384);
  table.key("blocks", c.blocks, "Transformer blocks").range(1, 1000);
  table.key("heads", c.heads, "Attention heads; width / heads is a multiple of 4").range(1, 1024);
  table.key("window_rows", c.window_rows, "Attention window, tokens; the nearest size that tiles the grid is taken")
      .range(1, 4096);
  table.key("window_columns", c.window_columns, "Attention window, tokens").range(1, 4096);
  table.key("mlp_ratio", c.mlp_ratio, "Hidden width of the MLP over the width").range(1, 64);
  table
      .key("precision", c.precision,
           "Of the trunk's matrix products. With bf16 the weights, the state, embedding, head and all sums stay fp32")
      .one_of({"fp32", "bf16"});
  table
      .key("recompute", c.recompute,
           "What the backward pass computes again instead of keeping it: nothing, the MLPs' hidden layers, whole "
           "blocks, or as little as the memory allows")
      .one_of({"auto", "none", "mlp", "block"});
  table.check("heads", [&c]() -> std::string {
    try {
      resolve(c);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  });
}

}  // namespace zonda::model
