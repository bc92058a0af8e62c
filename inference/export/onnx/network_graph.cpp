#include "inference/export/onnx/network_graph.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "core/error.hpp"
#include "core/provenance.hpp"
#include "inference/bundle/lent_parameters.hpp"
#include "inference/export/onnx/graph_builder.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/network/mixing.hpp"
#include "model/network/token_grid.hpp"
#include "model/ops/attention.hpp"

namespace zonda::inference {

namespace {

using Value = GraphBuilder::Value;
using Integers = std::vector<std::int64_t>;
constexpr std::int64_t any = GraphBuilder::any;

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// Sequences of one length.
struct SequenceGroup {
  std::int64_t length = 0;
  std::vector<std::size_t> sequences;
};

std::vector<SequenceGroup> groups_of(const model::SequenceDraft& draft) {
  std::map<std::int64_t, SequenceGroup> by_length;
  for (std::size_t s = 0; s < draft.sequences(); ++s) {
    const std::int64_t length = draft.offsets[s + 1] - draft.offsets[s];
    by_length[length].length = length;
    by_length[length].sequences.push_back(s);
  }
  std::vector<SequenceGroup> groups;
  for (auto& [length, group] : by_length) groups.push_back(std::move(group));
  return groups;
}

class NetworkGraph {
 public:
  NetworkGraph(const model::ForecastNetwork& network, const model::ForecastLayout& layout, OnnxProfile profile,
               const FindTensor& find)
      : shape_(network.shape()),
        tokens_(network.grid(), shape_.patch),
        inputs_(network.input_channels()),
        outputs_(network.output_channels()),
        conditions_(network.condition_size()),
        rows_(static_cast<std::int64_t>(network.grid().nlat())),
        columns_(static_cast<std::int64_t>(network.grid().nlon())),
        levels_(shape_.by_level ? model::input_levels(layout) : std::vector<int>{}),
        profile_(profile),
        find_(find),
        graph_("zonda forecast network", "zonda", code_version()) {}

  std::string make() {
    const Value x = graph_.input("input", Integers{any, inputs_, rows_, columns_});
    const Value condition = graph_.input("condition", Integers{any, conditions_});
    const Value modulation = conditioning(condition);
    Value tokens = embedding(x);
    for (int i = 0; i < shape_.blocks; ++i)
      tokens = block("block" + std::to_string(i), tokens, modulation,
                     model::draft_of(model::mixing_of(shape_, i), shape_, tokens_), shape_.width, shape_.heads);
    graph_.output(head(tokens), "output", Integers{any, outputs_, rows_, columns_});
    return graph_.serialise();
  }

 private:
  Value op(const std::string& name, const std::vector<Value>& inputs, const GraphBuilder::Attributes& attributes = {}) {
    return graph_.node(name, inputs, attributes);
  }
  Value reshape(const Value& x, const Integers& shape) { return op("Reshape", {x, graph_.integers(shape)}); }
  Value transpose(const Value& x, const Integers& order) { return op("Transpose", {x}, {{"perm", order}}); }
  Value gather(const Value& x, const Integers& rows, std::int64_t axis) {
    return op("Gather", {x, graph_.integers(rows)}, {{"axis", axis}});
  }
  std::vector<Value> split(const Value& x, const Integers& parts, std::int64_t axis) {
    return graph_.nodes("Split", {x, graph_.integers(parts)}, parts.size(), {{"axis", axis}});
  }
  Value concat(const std::vector<Value>& parts, std::int64_t axis) {
    return parts.size() == 1 ? parts.front() : op("Concat", parts, {{"axis", axis}});
  }

  const BundleTensor& entry(const std::string& name) const { return find_(weights_prefix + name); }
  /// A parameter in f32.
  Value weight(const std::string& name) {
    const BundleTensor& tensor = entry(name);
    const Value stored = graph_.stored(tensor);
    if (tensor.dtype == model::DType::f32) return stored;
    const auto [at, is_new] = widened_.emplace(name, "");
    if (!is_new) return at->second;
    at->second = op("Cast", {stored}, {{"to", std::int64_t{1}}});
    if (tensor.dtype == model::DType::i8)
      at->second = op("Mul", {at->second, graph_.stored(find_(tensor.name + ".scales"))});
    return at->second;
  }

  Value linear(const std::string& name, const Value& x, bool bias = true) {
    const BundleTensor& matrix = entry(name + ".weight");
    Value y;
    if (matrix.dtype == model::DType::i8 && is_trunk_matrix(name + ".weight")) {
      const auto quantised = graph_.nodes("DynamicQuantizeLinear", {x}, 3);
      const Value sum = op("MatMulInteger", {quantised[0], graph_.stored(matrix), quantised[2]});
      const Value scale = op("Mul", {quantised[1], graph_.stored(find_(matrix.name + ".scales"))});
      y = op("Mul", {op("Cast", {sum}, {{"to", std::int64_t{1}}}), scale});
    } else {
      y = op("MatMul", {x, weight(name + ".weight")});
    }
    return bias ? op("Add", {y, weight(name + ".bias")}) : y;
  }

  /// The network's own, by tanh (Hendrycks & Gimpel 2016): by Erf it would be off by 5e-4.
  Value gelu(const Value& x) {
    constexpr float c = 0.7978845608028654F, cubic = 0.044715F;
    if (profile_ == OnnxProfile::standard) {
      const Value cube = op("Pow", {x, graph_.scalar(3)});
      const Value inner = op("Add", {x, op("Mul", {cube, graph_.scalar(cubic)})});
      const Value wave = op("Tanh", {op("Mul", {inner, graph_.scalar(c)})});
      return op("Mul", {op("Mul", {x, graph_.scalar(0.5F)}), op("Add", {wave, graph_.scalar(1)})});
    }
    const Value square = op("Mul", {op("Mul", {x, x}), graph_.scalar(2 * c * cubic)});
    return op("Mul", {x, op("Sigmoid", {op("Mul", {x, op("Add", {square, graph_.scalar(2 * c)})})})});
  }

  /// x / sqrt(mean(x^2) + eps) * gain over the last axis.
  Value rms_norm(const Value& x, const Value& gain) {
    const Value epsilon = graph_.scalar(static_cast<float>(model::AttentionShape::epsilon));
    const bool fused = profile_ == OnnxProfile::standard;
    const Value square = fused ? op("Pow", {x, graph_.scalar(2)}) : op("Mul", {x, x});
    const Value mean = op("ReduceMean", {square}, {{"axes", Integers{-1}}, {"keepdims", std::int64_t{1}}});
    const Value root = op("Sqrt", {op("Add", {mean, epsilon})});
    const Value normed = fused ? op("Div", {x, root}) : op("Mul", {x, op("Reciprocal", {root})});
    return op("Mul", {normed, gain});
  }
  Value ones(std::int64_t width) {
    const auto [at, is_new] = ones_.emplace(width, "");
    if (is_new) at->second = graph_.constant(std::vector<float>(index(width), 1.0F), Integers{width});
    return at->second;
  }
  Value modulated(const Value& x, std::int64_t width, const Value& scale, const Value& shift) {
    const Value factor = op("Add", {scale, graph_.scalar(1)});
    return op("Add", {op("Mul", {rms_norm(x, ones(width)), factor}), shift});
  }

  Value conditioning(const Value& condition) {
    const Value first = gelu(linear("conditioning.first", condition));
    return linear("conditioning.shared", gelu(linear("conditioning.second", first)));
  }

  /// [batch, C, H, W] -> [batch, T, C * kernel rows * patch].
  Value patches(const Value& x, std::int64_t channels) {
    const auto& p = tokens_.patches;
    Value image = x;
    if (p.kernel_rows != p.size) {  // neighbours share a row
      Integers rows;
      for (std::int64_t i = 0; i < p.token_rows; ++i)
        for (std::int64_t u = 0; u < p.kernel_rows; ++u) rows.push_back(i * p.size + u);
      image = gather(x, rows, 2);
    }
    image = reshape(image, {any, channels, p.token_rows, p.kernel_rows, p.token_columns, p.size});
    return reshape(transpose(image, {0, 2, 4, 1, 3, 5}), {any, tokens_.count(), channels * p.kernel_rows * p.size});
  }

  Value embedding(const Value& x) {
    const std::vector<double> features = tokens_.position_features(shape_.lift);
    const std::vector<float> narrow(features.begin(), features.end());
    const Value position =
        linear("embedding.position",
               graph_.constant(narrow, Integers{tokens_.count(), model::TokenGrid::feature_count}), false);
    const Value tokens = levels_.empty() ? linear("embedding.patch", patches(x, inputs_)) : level_embedding(x);
    return op("Add", {tokens, position});
  }

  /// Levels become tokens of a site of their own, mix within it, and are joined to one.
  Value level_embedding(const Value& x) {
    const int count = *std::max_element(levels_.begin(), levels_.end()) + 1;
    const std::int64_t width = shape_.level_width();
    std::vector<Value> of_level;
    for (int level = 0; level < count; ++level) {
      Integers channels;
      for (std::size_t c = 0; c < levels_.size(); ++c)
        if (levels_[c] == level) channels.push_back(static_cast<std::int64_t>(c));
      const Value patch = patches(gather(x, channels, 1), static_cast<std::int64_t>(channels.size()));
      of_level.push_back(reshape(linear("embedding.level" + std::to_string(level), patch), {any, 1, width}));
    }
    const std::vector<float> none(index(6 * width), 0.0F);
    const Value sites = concat(of_level, 1);  // [batch * T, levels, width]
    const Value mixed = block("embedding.levels", sites, graph_.constant(none, Integers{1, 6 * width}),
                              level_draft(count), width, shape_.level_heads());
    return linear("embedding.projection", reshape(mixed, {any, tokens_.count(), count * width}));
  }
  model::SequenceDraft level_draft(int count) const {
    return model::draft_levels(count, shape_.level_width() / shape_.level_heads());
  }

  Value block(const std::string& name, const Value& x, const Value& modulation, const model::SequenceDraft& draft,
              std::int64_t width, std::int64_t heads) {
    const Value all = op("Add", {modulation, weight(name + ".modulation")});
    const std::vector<Value> parts = split(reshape(all, {any, 1, 6 * width}), Integers(6, width), 2);
    // shift, scale, gate of the attention's half, then of the MLP's.
    const Value normed = modulated(x, width, parts[1], parts[0]);
    const Value attended = attention(name, linear(name + ".qkv", normed), draft, width, heads);
    const Value middle = op("Add", {x, op("Mul", {linear(name + ".projection", attended), parts[2]})});
    const Value hidden = gelu(linear(name + ".up", modulated(middle, width, parts[4], parts[3])));
    return op("Add", {middle, op("Mul", {linear(name + ".down", hidden), parts[5]})});
  }

  /// qkv [batch, T, 3 D] -> [batch, T, D].
  Value attention(const std::string& name, const Value& qkv, const model::SequenceDraft& draft, std::int64_t width,
                  std::int64_t heads) {
    const auto tokens = static_cast<std::int64_t>(draft.tokens.size());
    std::vector<Value> attended;
    Integers order;
    for (const SequenceGroup& group : groups_of(draft)) {
      Integers rows;
      for (const std::size_t s : group.sequences)
        for (auto i = draft.offsets[s]; i < draft.offsets[s + 1]; ++i) rows.push_back(draft.tokens[index(i)]);
      order.insert(order.end(), rows.begin(), rows.end());
      const bool whole = static_cast<std::int64_t>(rows.size()) == tokens && std::is_sorted(rows.begin(), rows.end());
      attended.push_back(sequences(name, whole ? qkv : gather(qkv, rows, 1), draft, group, width, heads));
    }
    const Value joined = concat(attended, 1);
    if (std::is_sorted(order.begin(), order.end())) return joined;
    Integers back(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) back[index(order[i])] = static_cast<std::int64_t>(i);
    return gather(joined, back, 1);
  }

  /// Tokens sequence after sequence: [batch, S L, 3 D] -> [batch, S L, D].
  Value sequences(const std::string& name, const Value& qkv, const model::SequenceDraft& draft,
                  const SequenceGroup& group, std::int64_t width, std::int64_t heads) {
    const std::int64_t size = width / heads, length = group.length, half = size / 2,
                       count = static_cast<std::int64_t>(group.sequences.size());
    const Value apart =
        transpose(reshape(qkv, {any, count, length, 3, heads, size}), {3, 0, 1, 4, 2, 5});  // [3, batch, S, h, L, d]
    const std::vector<Value> parts = split(apart, {1, 1, 1}, 0);
    const auto part = [&](std::size_t i) { return reshape(parts[i], {any, count, heads, length, size}); };

    std::vector<float> cosine, sine;
    for (const std::size_t s : group.sequences)
      for (auto i = index(draft.offsets[s]); i < index(draft.offsets[s + 1]); ++i)
        for (std::size_t k = 0; k < draft.pairs; ++k) {
          cosine.push_back(static_cast<float>(std::cos(draft.phases[i * draft.pairs + k])));
          sine.push_back(static_cast<float>(std::sin(draft.phases[i * draft.pairs + k])));
        }
    const Value c = graph_.constant(cosine, Integers{count, 1, length, half}),
                s = graph_.constant(sine, Integers{count, 1, length, half});
    const auto rotated = [&](const Value& x, const std::string& gain) {
      const std::vector<Value> halves = split(rms_norm(x, weight(name + gain)), {half, half}, -1);
      return concat({op("Sub", {op("Mul", {halves[0], c}), op("Mul", {halves[1], s})}),
                     op("Add", {op("Mul", {halves[0], s}), op("Mul", {halves[1], c})})},
                    -1);
    };
    const Value q = op("Mul", {rotated(part(0), ".query_gain"), graph_.scalar(1 / std::sqrt(float(size)))});
    const Value k = transpose(rotated(part(1), ".key_gain"), {0, 1, 2, 4, 3});
    const Value shares = op("Softmax", {op("MatMul", {q, k})}, {{"axis", std::int64_t{-1}}});
    return reshape(transpose(op("MatMul", {shares, part(2)}), {0, 1, 3, 2, 4}), {any, count * length, width});
  }

  Value pad(const Value& x, const Integers& pads, const std::string& mode) {
    return op("Pad", {x, graph_.integers(pads)}, {{"mode", mode}});
  }

  /// Patches to an image; rows that two patches share are the mean of both.
  Value image(const Value& patches) {
    const auto& p = tokens_.patches;
    Value x = reshape(patches, {any, p.token_rows, p.token_columns, outputs_, p.kernel_rows, p.size});
    x = transpose(x, {0, 3, 1, 4, 2, 5});  // [batch, C, rows, kernel rows, columns, patch]
    if (p.kernel_rows == p.size) return reshape(x, {any, outputs_, rows_, columns_});
    const std::int64_t whole = p.token_rows * p.size;
    const std::vector<Value> parts =
        split(reshape(x, {any, outputs_, p.token_rows, p.kernel_rows, columns_}), {p.size, 1}, 3);
    const Value own = pad(reshape(parts[0], {any, outputs_, whole, columns_}), {0, 0, 0, 0, 0, 0, 1, 0}, "constant");
    const Value next = pad(
        reshape(pad(parts[1], {0, 0, 0, p.size - 1, 0, 0, 0, 0, 0, 0}, "constant"), {any, outputs_, whole, columns_}),
        {0, 0, 1, 0, 0, 0, 0, 0}, "constant");
    std::vector<float> shares(index(rows_), 1.0F);
    for (std::int64_t i = 1; i < p.token_rows; ++i) shares[index(i * p.size)] = 0.5F;
    return op("Mul", {op("Add", {own, next}), graph_.constant(shares, Integers{rows_, 1})});
  }

  /// 3x3; rows beyond the edge repeat it, columns too unless they wrap around.
  Value convolution(const std::string& name, const Value& x) {
    Value wide;
    if (tokens_.periodic) {
      const std::vector<Value> parts = split(x, {1, columns_ - 2, 1}, 3);
      wide = pad(concat({parts[2], x, parts[0]}, 3), {0, 0, 1, 0, 0, 0, 1, 0}, "edge");
    } else {
      wide = pad(x, {0, 0, 1, 1, 0, 0, 1, 1}, "edge");
    }
    return op("Conv", {wide, weight(name + ".weight"), weight(name + ".bias")}, {{"kernel_shape", Integers{3, 3}}});
  }

  Value head(const Value& tokens) {
    const std::vector<Value> norm = split(weight("head.norm"), {shape_.width, shape_.width}, 1);
    const Value u = image(linear("head.linear", modulated(tokens, shape_.width, norm[0], norm[1])));
    return op("Add", {u, convolution("head.convolution2", gelu(convolution("head.convolution1", u)))});
  }

  const model::NetworkShape shape_;
  const model::TokenGrid tokens_;
  const std::int64_t inputs_, outputs_, conditions_, rows_, columns_;
  const std::vector<int> levels_;
  const OnnxProfile profile_;
  const FindTensor& find_;
  GraphBuilder graph_;
  std::map<std::string, Value> widened_;
  std::map<std::int64_t, Value> ones_;
};

}  // namespace

OnnxProfile onnx_profile(const std::string& word) {
  static const std::vector<std::string> words{"standard", "ascend"};
  if (word == words[0]) return OnnxProfile::standard;
  if (word == words[1]) return OnnxProfile::ascend;
  throw Error(ErrorKind::usage, unknown_word("ONNX profile", word, words));
}

std::string onnx_file(OnnxProfile profile) {
  return profile == OnnxProfile::standard ? "model.onnx" : "model-ascend.onnx";
}

std::string network_graph(const model::ForecastNetwork& network, const model::ForecastLayout& layout,
                          OnnxProfile profile, const FindTensor& find) {
  const model::NetworkShape& shape = network.shape();
  if (shape.lift > 1 || shape.lift_blocks > 0 || shape.rank > 0 || shape.noise > 0)
    fail(ErrorKind::usage, "ONNX graphs hold networks without {}",
         shape.rank > 0    ? "adapters by lead time"
         : shape.noise > 0 ? "noise"
                           : "a lift");
  return NetworkGraph(network, layout, profile, find).make();
}

}  // namespace zonda::inference
