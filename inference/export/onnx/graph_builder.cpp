#include "inference/export/onnx/graph_builder.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/onnx_pb.h>

#include "core/error.hpp"

namespace zonda::inference {

namespace {

constexpr int ir_version = 8, opset = 17;
constexpr std::size_t most_bytes = std::size_t{2'000'000'000};

void set_shape(onnx::ValueInfoProto& info, const std::string& name, std::span<const std::int64_t> shape) {
  info.set_name(name);
  auto* tensor = info.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t extent : shape) {
    auto* dimension = tensor->mutable_shape()->add_dim();
    if (extent == GraphBuilder::any)
      dimension->set_dim_param("batch");
    else
      dimension->set_dim_value(extent);
  }
}

onnx::TensorProto::DataType type_of(model::DType dtype) {
  switch (dtype) {
    case model::DType::f64:
      return onnx::TensorProto::DOUBLE;
    case model::DType::f32:
      return onnx::TensorProto::FLOAT;
    case model::DType::bf16:
      return onnx::TensorProto::BFLOAT16;
    case model::DType::i8:
      return onnx::TensorProto::INT8;
  }
  return onnx::TensorProto::UNDEFINED;
}

}  // namespace

struct GraphBuilder::Model {
  onnx::ModelProto proto;
};

GraphBuilder::GraphBuilder(const std::string& name, const std::string& producer, const std::string& producer_version)
    : model_(std::make_unique<Model>()) {
  onnx::ModelProto& proto = model_->proto;
  proto.set_ir_version(ir_version);
  proto.set_producer_name(producer);
  proto.set_producer_version(producer_version);
  auto* set = proto.add_opset_import();
  set->set_domain("");
  set->set_version(opset);
  proto.mutable_graph()->set_name(name);
}

GraphBuilder::~GraphBuilder() = default;

std::string GraphBuilder::fresh(const std::string& op) {
  return op + '_' + std::to_string(counts_[op]++);
}

GraphBuilder::Value GraphBuilder::input(const std::string& name, std::span<const std::int64_t> shape) {
  set_shape(*model_->proto.mutable_graph()->add_input(), name, shape);
  return name;
}

void GraphBuilder::output(const Value& value, const std::string& name, std::span<const std::int64_t> shape) {
  auto* node = model_->proto.mutable_graph()->add_node();
  node->set_op_type("Identity");
  node->set_name(name);
  node->add_input(value);
  node->add_output(name);
  set_shape(*model_->proto.mutable_graph()->add_output(), name, shape);
}

GraphBuilder::Value GraphBuilder::node(const std::string& op, const std::vector<Value>& inputs,
                                       const Attributes& attributes) {
  return nodes(op, inputs, 1, attributes).front();
}

std::vector<GraphBuilder::Value> GraphBuilder::nodes(const std::string& op, const std::vector<Value>& inputs,
                                                     std::size_t outputs, const Attributes& attributes) {
  auto* node = model_->proto.mutable_graph()->add_node();
  const std::string name = fresh(op);
  node->set_op_type(op);
  node->set_name(name);
  for (const Value& value : inputs) node->add_input(value);
  std::vector<Value> results;
  for (std::size_t i = 0; i < outputs; ++i) {
    results.push_back(outputs == 1 ? name : name + '.' + std::to_string(i));
    node->add_output(results.back());
  }
  for (const auto& [key, value] : attributes) {
    auto* attribute = node->add_attribute();
    attribute->set_name(key);
    if (const auto* whole = std::get_if<std::int64_t>(&value)) {
      attribute->set_type(onnx::AttributeProto::INT);
      attribute->set_i(*whole);
    } else if (const auto* number = std::get_if<float>(&value)) {
      attribute->set_type(onnx::AttributeProto::FLOAT);
      attribute->set_f(*number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      attribute->set_type(onnx::AttributeProto::STRING);
      attribute->set_s(*text);
    } else {
      attribute->set_type(onnx::AttributeProto::INTS);
      for (const std::int64_t i : std::get<std::vector<std::int64_t>>(value)) attribute->add_ints(i);
    }
  }
  return results;
}

GraphBuilder::Value GraphBuilder::constant(std::span<const float> values, std::span<const std::int64_t> shape) {
  auto* tensor = model_->proto.mutable_graph()->add_initializer();
  tensor->set_name(fresh("constant"));
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t extent : shape) tensor->add_dims(extent);
  tensor->set_raw_data(values.data(), values.size_bytes());
  return tensor->name();
}

GraphBuilder::Value GraphBuilder::scalar(float value) {
  const auto [at, is_new] = known_scalars_.emplace(value, "");
  if (is_new) at->second = constant(std::span(&value, 1), {});
  return at->second;
}

GraphBuilder::Value GraphBuilder::integers(const std::vector<std::int64_t>& values) {
  const auto [at, is_new] = known_integers_.emplace(values, "");
  if (!is_new) return at->second;
  auto* tensor = model_->proto.mutable_graph()->add_initializer();
  tensor->set_name(fresh("integers"));
  tensor->set_data_type(onnx::TensorProto::INT64);
  tensor->add_dims(static_cast<std::int64_t>(values.size()));
  tensor->set_raw_data(values.data(), values.size() * sizeof(std::int64_t));
  return at->second = tensor->name();
}

GraphBuilder::Value GraphBuilder::stored(const BundleTensor& stored) {
  const auto [at, is_new] = known_stored_.emplace(stored.name, stored.name);
  if (!is_new) return at->second;
  auto* tensor = model_->proto.mutable_graph()->add_initializer();
  tensor->set_name(stored.name);
  tensor->set_data_type(type_of(stored.dtype));
  for (const std::int64_t extent : stored.shape) tensor->add_dims(extent);
  tensor->set_data_location(onnx::TensorProto::EXTERNAL);
  const auto say = [&](const char* key, const std::string& value) {
    auto* entry = tensor->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  say("location", stored.file);
  say("offset", std::to_string(stored.offset));
  say("length", std::to_string(stored.bytes));
  return at->second;
}

void GraphBuilder::note(const std::string& key, const std::string& text) {
  auto* entry = model_->proto.add_metadata_props();
  entry->set_key(key);
  entry->set_value(text);
}

std::string GraphBuilder::serialise() const {
  if (model_->proto.ByteSizeLong() > most_bytes)
    fail(ErrorKind::failure, "the graph takes {} bytes, ONNX files hold at most {}", model_->proto.ByteSizeLong(),
         most_bytes);
  std::string text;
  {
    google::protobuf::io::StringOutputStream out(&text);
    google::protobuf::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    if (!model_->proto.SerializeToCodedStream(&coded)) fail(ErrorKind::failure, "the graph cannot be serialised");
  }
  return text;
}

}  // namespace zonda::inference
