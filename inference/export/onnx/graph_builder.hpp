#pragma once
// GraphBuilder: an ONNX graph node by node (opset 17, IR version 8). A value is its name.
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "inference/bundle/manifest.hpp"

namespace zonda::inference {

class GraphBuilder {
 public:
  using Value = std::string;
  using Attribute = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>>;
  using Attributes = std::vector<std::pair<std::string, Attribute>>;
  static constexpr std::int64_t any = -1;  ///< an extent that a caller chooses: the batch

  GraphBuilder(const std::string& name, const std::string& producer, const std::string& producer_version);
  ~GraphBuilder();
  GraphBuilder(const GraphBuilder&) = delete;
  GraphBuilder& operator=(const GraphBuilder&) = delete;

  Value input(const std::string& name, std::span<const std::int64_t> shape);
  void output(const Value& value, const std::string& name, std::span<const std::int64_t> shape);
  Value node(const std::string& op, const std::vector<Value>& inputs, const Attributes& attributes = {});
  std::vector<Value> nodes(const std::string& op, const std::vector<Value>& inputs, std::size_t outputs,
                           const Attributes& attributes = {});
  /// Numbers within the graph's file; equal whole numbers become one constant.
  Value constant(std::span<const float> values, std::span<const std::int64_t> shape);
  Value scalar(float value);
  Value integers(const std::vector<std::int64_t>& values);
  /// A tensor of the bundle, where it lies in the bundle's file.
  Value stored(const BundleTensor& tensor);
  void note(const std::string& key, const std::string& text);  ///< metadata

  /// The file's bytes. Throws Error(failure): beyond protobuf's 2 GiB.
  std::string serialise() const;

 private:
  struct Model;
  std::string fresh(const std::string& op);
  std::unique_ptr<Model> model_;
  std::map<std::vector<std::int64_t>, Value> known_integers_;
  std::map<float, Value> known_scalars_;
  std::map<std::string, Value> known_stored_;
  std::map<std::string, int> counts_;
};

}  // namespace zonda::inference
