#include "model/ops/cuda/cudnn_attention.hpp"

#include <cudnn.h>
#include <dlfcn.h>

#include <array>
#include <cmath>
#include <deque>
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

using Extents = std::array<std::int64_t, 4>;

enum Id : std::int64_t {
  kQuery = 1,
  kKey,
  kValue,
  kOutput,
  kStatistics,
  kScale,
  kOne,
  kOutputGradient,
  kQueryGradient,
  kKeyGradient,
  kValueGradient,
  kBetween  // the first that stays within the graph
};

/// Operations on tensors and the engine for them. What is made lies still and needs what was made before it.
class Graph {
 public:
  explicit Graph(const Cudnn& cudnn) : cudnn_(cudnn) {}

  const Node& tensor(Id id, cudnnDataType_t type, const Extents& extents, const Extents& strides) {
    return describe(id, type, extents, strides).finalise("describing a tensor");
  }
  /// A number that the host gives.
  const Node& number(Id id) {
    constexpr Extents one{1, 1, 1, 1};
    return describe(id, CUDNN_DATA_FLOAT, one, one, 4)
        .set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, true)
        .finalise("describing a number");
  }
  /// A tensor that no memory holds.
  const Node& between(cudnnDataType_t type, const Extents& extents, const Extents& strides) {
    return describe(next_++, type, extents, strides)
        .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, true)
        .finalise("describing a tensor between operations");
  }

  const Node& attention(const Node& q, const Node& k, const Node& v, const Node& y, const Node& statistics,
                        const Node& scale) {
    operation(CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, q)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, k)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, v)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, y)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC, statistics)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, scale)
        .finalise("describing attention");
    return y;
  }
  const Node& multiply(const Node& a, const Node& b, const Node& c) {
    const Node& product = make(CUDNN_BACKEND_MATMUL_DESCRIPTOR)
                              .set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
                              .finalise("describing a product");
    operation(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_MATMUL_DESC, product)
        .set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, a)
        .set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, b)
        .set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, c)
        .finalise("describing a product");
    return c;
  }
  /// y = x (mode) b; b of exp is null.
  const Node& pointwise(cudnnPointwiseMode_t mode, const Node& x, const Node* b, const Node& y) {
    const Node& rule = make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR)
                           .set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode)
                           .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
                           .finalise("describing an operation by element");
    Node& node = operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
                     .set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, rule)
                     .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
                     .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    if (b) node.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
    node.finalise("describing an operation by element");
    return y;
  }
  const Node& sum(const Node& x, const Node& y) {
    const Node& rule =
        make(CUDNN_BACKEND_REDUCTION_DESCRIPTOR)
            .set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
            .set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, CUDNN_REDUCE_TENSOR_ADD)
            .finalise("describing a sum");
    operation(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, rule)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y)
        .finalise("describing a sum");
    return y;
  }
  const Node& turn(const Node& x, const Node& y) {
    operation(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x)
        .set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y)
        .finalise("describing a transpose");
    return y;
  }

  /// The configuration that the heuristics, having checked its support, propose first: for a handle's device or a
  /// described one.
  const Node& engine(cudnnHandle_t handle, const Node* device) {
    Node& graph = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
              std::span<const cudnnBackendDescriptor_t>(operations_));
    if (handle) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
    graph.finalise("making the graph of attention");
    Node& heuristic = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR)
                          .set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
                          .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
    if (device) heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device);
    heuristic.finalise("asking for engines");
    const Node& best = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    cudnnBackendDescriptor_t to = best.get();
    std::int64_t found = 0;
    check(cudnn_,
          cudnn_.get_attribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &found,
                               &to),
          "asking for engines");
    if (found == 0) fail(ErrorKind::failure, "cuDNN has no engine for this attention");
    return best;
  }
  const Node& plan(cudnnHandle_t handle) {
    const Node& best = engine(handle, nullptr);
    return make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
        .set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, best)
        .set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle)
        .finalise("planning attention");
  }

 private:
  Node& make(cudnnBackendDescriptorType_t type) { return nodes_.emplace_back(cudnn_, type); }
  Node& operation(cudnnBackendDescriptorType_t type) {
    Node& node = make(type);
    operations_.push_back(node.get());
    return node;
  }
  Node& describe(std::int64_t id, cudnnDataType_t type, const Extents& extents, const Extents& strides,
                 std::int64_t alignment = 16) {
    return make(CUDNN_BACKEND_TENSOR_DESCRIPTOR)
        .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id)
        .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type)
        .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, std::span<const std::int64_t>(extents))
        .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, std::span<const std::int64_t>(strides))
        .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, alignment);
  }

  const Cudnn& cudnn_;
  std::deque<Node> nodes_;
  std::vector<cudnnBackendDescriptor_t> operations_;
  std::int64_t next_ = kBetween;
};

/// [batch, heads, tokens, head size] over memory [batch, tokens, heads of all, head size].
Extents strides_of(const LongAttentionShape& s, std::int64_t heads) {
  return {s.tokens * heads * s.head_size, s.head_size, heads * s.head_size, 1};
}

void describe_forward(Graph& graph, const LongAttentionShape& s) {
  const Extents extents{s.batch, s.heads, s.tokens, s.head_size}, strides = strides_of(s, s.heads);
  const auto rows = [&](Id id) -> const Node& { return graph.tensor(id, CUDNN_DATA_BFLOAT16, extents, strides); };
  const Node &q = rows(kQuery), &k = rows(kKey), &v = rows(kValue), &y = rows(kOutput);
  graph.attention(q, k, v, y,
                  graph.tensor(kStatistics, CUDNN_DATA_FLOAT, {s.batch, s.heads, s.tokens, 1},
                               {s.heads * s.tokens, s.tokens, 1, 1}),
                  graph.number(kScale));
}

/// Backward of one sample's `together` heads of all. The sum of dQ goes through no memory of its own: the library then
/// adds in one order, and its workspace holds tokens x tokens numbers a head.
void describe_backward(Graph& graph, const LongAttentionShape& s, std::int64_t together) {
  constexpr auto wide = CUDNN_DATA_FLOAT, narrow = CUDNN_DATA_BFLOAT16;
  const std::int64_t t = s.tokens, d = s.head_size, h = together;
  const Extents extents{1, h, t, d}, strides = strides_of(s, s.heads), turned{1, h, d, t},
                                     turned_strides{strides[0], strides[1], 1, strides[2]}, square{1, h, t, t},
                                     square_strides{h * t * t, t * t, t, 1}, square_turned{h * t * t, t * t, 1, t},
                                     column{1, h, t, 1}, column_strides{h * t, t, 1, 1};
  const auto rows = [&](Id id) -> const Node& { return graph.tensor(id, narrow, extents, strides); };
  const auto logits = [&]() -> const Node& { return graph.between(wide, square, square_strides); };
  const auto sums = [&]() -> const Node& { return graph.between(wide, column, column_strides); };
  const auto transposed = [&](const Node& x) -> const Node& {
    return graph.turn(x, graph.between(narrow, square, square_turned));
  };
  const Node &q = rows(kQuery), &y = rows(kOutput), &dy = rows(kOutputGradient),
             &k = graph.tensor(kKey, narrow, turned, turned_strides),
             &v = graph.tensor(kValue, narrow, turned, turned_strides),
             &statistics = graph.tensor(kStatistics, wide, column, column_strides), &scale = graph.number(kScale),
             &one = graph.number(kOne);
  constexpr auto times = CUDNN_POINTWISE_MUL, minus = CUDNN_POINTWISE_SUB;

  // What the heuristics look for: factors of one where dropout would be.
  const Node& dots =
      graph.sum(graph.pointwise(times, dy, &y, graph.between(wide, extents, {h * t * d, t * d, d, 1})), sums());
  const Node& mean = graph.pointwise(times, dots, &one, sums());
  const Node& scaled = graph.pointwise(times, graph.multiply(q, k, logits()), &scale, logits());
  const Node& p =
      graph.pointwise(CUDNN_POINTWISE_EXP, graph.pointwise(minus, scaled, &statistics, logits()), nullptr, logits());
  graph.multiply(transposed(p), dy, rows(kValueGradient));
  const Node& dp = graph.pointwise(times, graph.multiply(dy, v, logits()), &one, logits());
  const Node& slope = graph.pointwise(times, graph.pointwise(minus, dp, &mean, logits()), &p, logits());
  const Node& ds = graph.pointwise(times, slope, &scale, logits());
  graph.multiply(transposed(ds), q, rows(kKeyGradient));
  graph.multiply(ds, graph.turn(k, graph.between(narrow, extents, strides)), rows(kQueryGradient));
}

/// Heads that backward takes at once so that its workspace stays bounded: a divisor of all; 0 where one is too many.
std::int64_t heads_together(const LongAttentionShape& s) {
  constexpr std::int64_t most = std::int64_t{512} << 20;
  std::int64_t heads = s.heads;
  while (heads > 0 && (s.heads % heads != 0 || 2 * s.tokens * s.tokens * heads > most)) --heads;
  return heads;
}

void describe(Graph& graph, const LongAttentionShape& s, bool backward) {
  if (!backward) return describe_forward(graph, s);
  const std::int64_t together = heads_together(s);
  if (together == 0)
    fail(ErrorKind::failure, "{} tokens are too many for the workspace of cuDNN's gradient of attention", s.tokens);
  describe_backward(graph, s, together);
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
    return shape.tokens >= shortest && plan_of(shape, false) != nullptr;
  }
  bool covers_backward(const LongAttentionShape& shape) override { return plan_of(shape, true) != nullptr; }

  void forward(const LongAttentionShape& shape, const void* q, const void* k, const void* v, void* y, float* log_sum,
               Stream stream) override {
    float scale = scale_of(shape);
    run(shape, false, stream,
        {{kQuery, given(q)},
         {kKey, given(k)},
         {kValue, given(v)},
         {kOutput, y},
         {kStatistics, log_sum},
         {kScale, &scale}});
  }

  void backward(const LongAttentionShape& shape, const void* q, const void* k, const void* v, const void* y,
                const float* log_sum, const void* dy, void* dq, void* dk, void* dv, Stream stream) override {
    float scale = scale_of(shape), one = 1;
    const std::int64_t together = heads_together(shape);
    for (std::int64_t b = 0; b < shape.batch; ++b)
      for (std::int64_t h = 0; h < shape.heads; h += together) {
        const std::int64_t sum = (b * shape.heads + h) * shape.tokens,
                           row = (b * shape.tokens * shape.heads + h) * shape.head_size;
        const auto at = [row](const void* rows) -> void* { return static_cast<std::uint16_t*>(given(rows)) + row; };
        run(shape, true, stream,
            {{kQuery, at(q)},
             {kKey, at(k)},
             {kValue, at(v)},
             {kOutput, at(y)},
             {kStatistics, static_cast<float*>(given(log_sum)) + sum},
             {kOutputGradient, at(dy)},
             {kQueryGradient, at(dq)},
             {kKeyGradient, at(dk)},
             {kValueGradient, at(dv)},
             {kScale, &scale},
             {kOne, &one}});
      }
  }

 private:
  struct Plan {
    std::unique_ptr<Graph> graph;  // none where there is no engine
    cudnnBackendDescriptor_t plan = nullptr;
  };
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool>;

  static float scale_of(const LongAttentionShape& shape) { return 1 / std::sqrt(static_cast<float>(shape.head_size)); }
  static void* given(const void* data) { return const_cast<void*>(data); }

  void run(const LongAttentionShape& shape, bool backward, Stream stream,
           const std::vector<std::pair<std::int64_t, void*>>& operands) {
    const Plan* plan = plan_of(shape, backward);
    if (!plan) fail(ErrorKind::failure, "cuDNN was asked for an attention it does not cover");
    check(cudnn_, cudnn_.set_stream(handle_, stream), "choosing the stream");
    std::vector<std::int64_t> ids;
    std::vector<void*> data;
    for (const auto& [id, at] : operands) {
      ids.push_back(id);
      data.push_back(at);
    }
    Node pack(cudnn_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, std::span<const std::int64_t>(ids))
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, std::span<void* const>(data))
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace_.data())
        .finalise("naming the operands");
    check(cudnn_, cudnn_.execute(handle_, plan->plan, pack.get()), "attending");
  }

  const Plan* plan_of(const LongAttentionShape& s, bool backward) {
    const auto [at, added] = plans_.try_emplace(Key{s.batch, s.heads, s.tokens, s.head_size, backward});
    Plan& plan = at->second;
    if (added) {
      try {
        make(plan, s, backward);
      } catch (const Error&) {  // no engine for this shape: the backend's own kernels cover it
        plan = {};
      }
    }
    return plan.graph ? &plan : nullptr;
  }

  void make(Plan& made, const LongAttentionShape& shape, bool backward) {
    made.graph = std::make_unique<Graph>(cudnn_);
    describe(*made.graph, shape, backward);
    made.plan = made.graph->plan(handle_).get();
    std::int64_t count = 0, bytes = 0;
    check(
        cudnn_,
        cudnn_.get_attribute(made.plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &bytes),
        "planning attention");
    if (workspace_.bytes() < static_cast<std::size_t>(bytes)) {
      outgrown_.push_back(std::move(workspace_));  // a recorded step may use it
      workspace_ = Buffer(static_cast<std::size_t>(bytes), memory_);
    }
  }

  const Cudnn& cudnn_;
  CudaMemory& memory_;
  cudnnHandle_t handle_ = nullptr;
  Buffer workspace_;
  std::vector<Buffer> outgrown_;
  std::map<Key, Plan> plans_;
};

}  // namespace

std::unique_ptr<LongAttention> cudnn_attention(CudaMemory& memory) {
  const Cudnn* cudnn = Cudnn::open();
  return cudnn ? std::make_unique<CudnnAttention>(*cudnn, memory) : nullptr;
}

CudnnSupport cudnn_support(const LongAttentionShape& shape, bool backward, const std::string& device) {
  const Cudnn* cudnn = Cudnn::open();
  if (!cudnn) fail(ErrorKind::failure, "libcudnn.so.9 does not open: {}", dlerror());
  try {
    Node description(*cudnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    description.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, std::span<const char>(device))
        .finalise("reading a device's description");
    Graph graph(*cudnn);
    describe(graph, shape, backward);
    (void)graph.engine(nullptr, &description);
    return {true, ""};
  } catch (const Error& error) {
    return {false, error.what()};
  }
}

}  // namespace zonda::model::cuda
