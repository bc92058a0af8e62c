#include "model/network/network_config.hpp"

#include <algorithm>
#include <charconv>

#include "core/config/table.hpp"
#include "core/error.hpp"

namespace zonda::model {

namespace {

struct Preset {
  const char* name;
  NetworkShape shape;
};

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = [] {
    // patch, width, blocks, heads, windows
    const NetworkShape meta{
        .patch = 6, .width = 1536, .blocks = 28, .heads = 24, .windows = {{12, 12}}, .by_level = true};
    NetworkShape ghr = meta;
    ghr.lift = 3;
    ghr.lift_blocks = 4;
    return std::vector<Preset>{
        {"tiny", {2, 64, 4, 1, {{8, 8}}}},
        {"test", {2, 128, 6, 2, {{8, 8}}}},
        {"small", {2, 512, 12, 8, {{12, 12}}}},
        {"base", {2, 768, 16, 12, {{12, 12}}}},
        {"meta", meta},
        {"ghr", ghr},
        // FengWu-GHR (arXiv 2402.00059): the released configuration of its meta model.
        {"fengwu-ghr",
         {.patch = 12,
          .width = 3072,
          .blocks = 24,
          .heads = 16,
          .windows = {{10, 10}, {5, 20}, {20, 5}},
          .global_every = 4}},
        {"edge", {4, 256, 6, 4, {{12, 12}}}},
    };
  }();
  return all;
}

WindowSize parse_window(const std::string& text) {
  WindowSize size{0, 0};
  const char *begin = text.data(), *end = begin + text.size();
  const auto rows = std::from_chars(begin, end, size.rows);
  if (rows.ec == std::errc{} && rows.ptr != end && *rows.ptr == 'x') {
    const auto columns = std::from_chars(rows.ptr + 1, end, size.columns);
    if (columns.ec == std::errc{} && columns.ptr == end && size.rows > 0 && size.columns > 0) return size;
  }
  fail(ErrorKind::usage, "network: a window '{}', expected ROWSxCOLUMNS, such as 5x20", text);
}

void require_whole_heads(const char* what, int width, int heads) {
  if (heads < 1 || width % heads != 0 || width / heads % 4 != 0)
    fail(ErrorKind::usage, "network: {}width {} over {} heads must give a whole head size that is a multiple of 4",
         what, width, heads);
}

}  // namespace

const std::vector<std::string>& network_presets() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Preset& preset : presets()) list.emplace_back(preset.name);
    return list;
  }();
  return names;
}

NetworkShape resolve(const NetworkConfig& config) {
  const auto preset =
      std::find_if(presets().begin(), presets().end(), [&](const Preset& p) { return config.preset == p.name; });
  if (preset == presets().end())
    throw Error(ErrorKind::usage, unknown_word("network preset", config.preset, network_presets()));
  NetworkShape s = preset->shape;
  s.patch = config.patch.value_or(s.patch);
  s.width = config.width.value_or(s.width);
  s.blocks = config.blocks.value_or(s.blocks);
  s.heads = config.heads.value_or(s.heads);
  s.mlp_ratio = config.mlp_ratio.value_or(s.mlp_ratio);
  s.global_every = config.global_every.value_or(s.global_every);
  s.noise = config.noise;
  s.merged_response = config.merged_response;
  if (config.embedding) s.by_level = *config.embedding == "levels";
  if (config.window_rows || config.window_columns) {
    if (!config.windows.empty())
      fail(ErrorKind::usage, "network: give either 'windows' or 'window_rows' and 'window_columns'");
    s.windows = {
        {config.window_rows.value_or(s.windows[0].rows), config.window_columns.value_or(s.windows[0].columns)}};
  }
  if (!config.windows.empty()) s.windows.clear();
  for (const std::string& window : config.windows) s.windows.push_back(parse_window(window));
  if (config.lift) {
    s.lift = config.lift->factor;
    s.lift_blocks = config.lift->blocks;
  }
  if (config.lora) {
    s.rank = config.lora->rank;
    s.lead_edges = config.lora->edges;
  }
  int smallest = std::min({s.patch, s.width, s.blocks, s.heads, s.mlp_ratio});
  for (const WindowSize& window : s.windows) smallest = std::min({smallest, window.rows, window.columns});
  if (smallest < 1) fail(ErrorKind::usage, "network: every size must be at least 1");
  require_whole_heads("", s.width, s.heads);
  if (s.by_level) {
    if (s.width % 4 != 0)
      fail(ErrorKind::usage, "network: an embedding by levels needs a width that is a multiple of 4, not {}", s.width);
    require_whole_heads("embedding by levels: ", s.level_width(), s.level_heads());
  }
  if (!std::is_sorted(s.lead_edges.begin(), s.lead_edges.end(), std::less_equal<>()))
    fail(ErrorKind::usage, "network: the edges of the adapters' lead times must ascend");
  return s;
}

void describe(config::Table& table, LiftConfig& c) {
  table.key("factor", c.factor, "How much finer the grid is than the one of the network that is lifted").range(2, 16);
  table.key("blocks", c.blocks, "New blocks on the whole token grid, evenly among those of the lifted network")
      .range(0, 64);
}

void describe(config::Table& table, LoraConfig& c) {
  table.key("rank", c.rank, "Rank of the corrections").range(1, 1024);
  table.key("edges", c.edges,
            "Days of lead time at which the next set of corrections begins, ascending: one set more than edges");
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
  table.key("windows", c.windows, "Several windows `ROWSxCOLUMNS`, taken in turn (`5x20`)");
  table
      .key("global_every", c.global_every,
           "Every k-th block attends to all tokens; 0: every second one across windows instead")
      .range(0, 1000);
  table
      .key("embedding", c.embedding,
           "Grid points to tokens: all channels at once, or each level by itself, then attention over levels")
      .one_of({"channels", "levels"});
  table.key("mlp_ratio", c.mlp_ratio, "Hidden width of the MLP over the width").range(1, 64);
  table.section("lift", c.lift, "Lift of a coarse network to a finer grid: its blocks work on interleaved sub-fields");
  table.section("lora", c.lora, "Corrections of low rank to the blocks' matrices, by lead time");
  table.key("merged_response", c.merged_response,
            "Tokens that others stand for answer, to first order, to how they differ from these, by a learnt matrix; "
            "students with levels have one");
  table.key("noise", c.noise, "Random numbers by which ensemble members differ; 0: none").range(0, 4096);
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
