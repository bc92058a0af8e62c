#include "model/ops/cuda/cudnn_attention.hpp"

#include <cudnn.h>
#include <dlfcn.h>

#include <array>
#include <cmath>
#include <map>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "model/tensor/buffer.hpp"

namespace zonda::model::cuda {

namespace {

/// The library's functions, opened once.
struct Cudnn {
  decltype(&cudnnCreate) create = nullptr;
  decltype(&cudnnDestroy) destroy = nullptr;
  decltype(&cudnnSetStream) set_stream = nullptr;
  decltype(&cudnnGetLastErrorString) last_error = nullptr;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor = nullptr;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor = nullptr;
  decltype(&cudnnBackendSetAttribute) set_attribute = nullptr;
  decltype(&cudnnBackendGetAttribute) get_attribute = nullptr;
  decltype(&cudnnBackendFinalize) finalise = nullptr;
  decltype(&cudnnBackendExecute) execute = nullptr;

  /// Null where it does not open.
  static const Cudnn* open() {
    static const std::unique_ptr<const Cudnn> library = [] {
      auto found = std::make_unique<Cudnn>();
      void* handle = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
      const auto symbol = [&](auto& function, const char* name) {
        if (handle) function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
        return function != nullptr;
      };
      const bool whole =
          symbol(found->create, "cudnnCreate") && symbol(found->destroy, "cudnnDestroy") &&
          symbol(found->set_stream, "cudnnSetStream") && symbol(found->last_error, "cudnnGetLastErrorString") &&
          symbol(found->create_descriptor, "cudnnBackendCreateDescriptor") &&
          symbol(found->destroy_descriptor, "cudnnBackendDestroyDescriptor") &&
          symbol(found->set_attribute, "cudnnBackendSetAttribute") &&
          symbol(found->get_attribute, "cudnnBackendGetAttribute") && symbol(found->finalise, "cudnnBackendFinalize") &&
          symbol(found->execute, "cudnnBackendExecute");
      if (!whole) found.reset();
      return found;
    }();
    return library.get();
  }
};

void check(const Cudnn& cudnn, cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 512> words{};
  cudnn.last_error(words.data(), words.size());
  fail(ErrorKind::failure, "cuDNN: {}: {}", what, words.data());
}

/// One descriptor of the graph interface.
class Node {
 public:
  Node(const Cudnn& cudnn, cudnnBackendDescriptorType_t type) : cudnn_(&cudnn) {
    check(cudnn, cudnn.create_descriptor(type, &descriptor_), "describing");
  }
  Node(Node&& other) noexcept : cudnn_(other.cudnn_), descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  Node& operator=(Node&&) = delete;
  ~Node() {
    if (descriptor_) (void)cudnn_->destroy_descriptor(descriptor_);
  }
  cudnnBackendDescriptor_t get() const { return descriptor_; }

  template <class T>
  Node& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::span<const T> values) {
    check(*cudnn_,
          cudnn_->set_attribute(descriptor_, name, type, static_cast<std::int64_t>(values.size()), values.data()),
          "setting an attribute");
    return *this;
  }
  template <class T>
  Node& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
    return set(name, type, std::span<const T>(&value, 1));
  }
  Node& set(cudnnBackendAttributeName_t name, const Node& other) {
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.descriptor_);
  }
  Node& finalise(const char* what) {
    check(*cudnn_, cudnn_->finalise(descriptor_), what);
    return *this;
  }

 private:
  const Cudnn* cudnn_;
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

enum Id : std::int64_t { kQuery = 1, kKey, kValue, kOutput, kStatistics, kScale };

Node tensor(const Cudnn& cudnn, Id id, cudnnDataType_t type, const std::array<std::int64_t, 4>& extents,
            const std::array<std::int64_t, 4>& strides, bool by_value = false) {
  Node node(cudnn, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  node.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, std::int64_t{id})
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, std::span<const std::int64_t>(extents))
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, std::span<const std::int64_t>(strides))
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, std::int64_t{by_value ? 4 : 16});
  if (by_value) node.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, true);
  node.finalise("describing a tensor");
  return node;
}

/// The graph of one attention node and the engine that the heuristics, having checked its support, propose first: for
/// a handle's device or a described one. Each node needs those before it; the engine's configuration is the last.
std::vector<Node> engine_of(const Cudnn& cudnn, const LongAttentionShape& s, cudnnHandle_t handle, const Node* device) {
  std::vector<Node> nodes;
  nodes.reserve(16);
  // [batch, heads, tokens, head size] over memory [batch, tokens, heads, head size].
  const std::array<std::int64_t, 4> extents{s.batch, s.heads, s.tokens, s.head_size},
      strides{s.tokens * s.heads * s.head_size, s.head_size, s.heads * s.head_size, 1},
      statistics{s.batch, s.heads, s.tokens, 1}, statistics_strides{s.heads * s.tokens, s.tokens, 1, 1},
      one{1, 1, 1, 1};
  for (const Id id : {kQuery, kKey, kValue, kOutput})
    nodes.push_back(tensor(cudnn, id, CUDNN_DATA_BFLOAT16, extents, strides));
  nodes.push_back(tensor(cudnn, kStatistics, CUDNN_DATA_FLOAT, statistics, statistics_strides));
  nodes.push_back(tensor(cudnn, kScale, CUDNN_DATA_FLOAT, one, one, true));

  Node operation(cudnn, CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, nodes[0])
      .set(CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, nodes[1])
      .set(CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, nodes[2])
      .set(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, nodes[3])
      .set(CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC, nodes[4])
      .set(CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, nodes[5])
      .finalise("describing attention");
  nodes.push_back(std::move(operation));
  Node graph(cudnn, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, nodes.back());
  if (handle) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
  graph.finalise("making the graph of attention");
  nodes.push_back(std::move(graph));
  Node heuristic(cudnn, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, nodes.back())
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
  if (device) heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device);
  heuristic.finalise("asking for engines");
  nodes.push_back(std::move(heuristic));
  nodes.emplace_back(cudnn, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  cudnnBackendDescriptor_t best = nodes.back().get();
  std::int64_t found = 0;
  check(cudnn,
        cudnn.get_attribute(nodes[nodes.size() - 2].get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                            1, &found, &best),
        "asking for engines");
  if (found == 0) fail(ErrorKind::failure, "cuDNN has no engine for this attention");

  return nodes;
}

class CudnnAttention final : public LongAttention {
 public:
  CudnnAttention(const Cudnn& cudnn, CudaMemory& memory) : cudnn_(cudnn), memory_(memory) {
    (void)memory.stream();
    check(cudnn, cudnn.create(&handle_), "starting");
  }
  ~CudnnAttention() override {
    plans_.clear();
    (void)cudnn_.destroy(handle_);
  }

  bool covers(const LongAttentionShape& shape) override {
    constexpr std::int64_t shortest = 1024;  // below it the tensor-core kernels have the sequence in a few tiles
    return shape.tokens >= shortest && plan_of(shape) != nullptr;
  }

  void forward(const LongAttentionShape& shape, const void* q, const void* k, const void* v, void* y, float* log_sum,
               Stream stream) override {
    const Plan* plan = plan_of(shape);
    if (!plan) fail(ErrorKind::failure, "cuDNN was asked for an attention it does not cover");
    check(cudnn_, cudnn_.set_stream(handle_, stream), "choosing the stream");
    float scale = 1 / std::sqrt(static_cast<float>(shape.head_size));
    const std::array<std::int64_t, 6> ids{kQuery, kKey, kValue, kOutput, kStatistics, kScale};
    const std::array<void*, 6> data{
        const_cast<void*>(q), const_cast<void*>(k), const_cast<void*>(v), y, log_sum, &scale};
    Node pack(cudnn_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, std::span<const std::int64_t>(ids))
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, std::span<void* const>(data))
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace_.data())
        .finalise("naming the operands");
    check(cudnn_, cudnn_.execute(handle_, plan->nodes.back().get(), pack.get()), "attending");
  }

 private:
  struct Plan {
    std::vector<Node> nodes;  // the plan last; none where there is no engine
  };
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

  const Plan* plan_of(const LongAttentionShape& s) {
    const auto [at, added] = plans_.try_emplace(Key{s.batch, s.heads, s.tokens, s.head_size});
    if (added) {
      try {
        at->second.nodes = make(s);
      } catch (const Error&) {  // no engine for this shape: the backend's own kernels cover it
        at->second.nodes.clear();
      }
    }
    return at->second.nodes.empty() ? nullptr : &at->second;
  }

  std::vector<Node> make(const LongAttentionShape& shape) {
    std::vector<Node> nodes = engine_of(cudnn_, shape, handle_, nullptr);
    Node plan(cudnn_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, nodes.back())
        .set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_)
        .finalise("planning attention");
    std::int64_t count = 0, bytes = 0;
    check(
        cudnn_,
        cudnn_.get_attribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &bytes),
        "planning attention");
    if (workspace_.bytes() < static_cast<std::size_t>(bytes))
      workspace_ = Buffer(static_cast<std::size_t>(bytes), memory_);
    nodes.push_back(std::move(plan));
    return nodes;
  }

  const Cudnn& cudnn_;
  CudaMemory& memory_;
  cudnnHandle_t handle_ = nullptr;
  Buffer workspace_;
  std::map<Key, Plan> plans_;
};

}  // namespace

std::unique_ptr<LongAttention> cudnn_attention(CudaMemory& memory) {
  const Cudnn* cudnn = Cudnn::open();
  return cudnn ? std::make_unique<CudnnAttention>(*cudnn, memory) : nullptr;
}

CudnnSupport cudnn_support(const LongAttentionShape& shape, const std::string& device) {
  const Cudnn* cudnn = Cudnn::open();
  if (!cudnn) fail(ErrorKind::failure, "libcudnn.so.9 does not open: {}", dlerror());
  try {
    Node description(*cudnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    description.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, std::span<const char>(device))
        .finalise("reading a device's description");
    (void)engine_of(*cudnn, shape, nullptr, &description);
    return {true, ""};
  } catch (const Error& error) {
    return {false, error.what()};
  }
}

}  // namespace zonda::model::cuda
