#include "model/ops/cuda/cuda_backend.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <exception>
#include <numeric>

#include "core/error.hpp"
#include "core/log.hpp"
#include "model/ops/cuda/kernels.hpp"

namespace zonda::model::cuda {

namespace {

[[noreturn]] void refuse(DType type) {
  fail(ErrorKind::usage, "the cuda backend computes in f32 and, where an operation has it, bf16, not {}",
       name_of(type));
}

/// Calls f(float{}) or f(bf16{}) by the element type of an operation's (h) tensors.
template <class F>
void by_half(DType type, F&& f) {
  if (type == DType::f32) return f(float{});
  if (type == DType::bf16) return f(bf16{});
  refuse(type);
}

float* wide(const Tensor& t) {
  if (!t.none() && t.dtype != DType::f32) refuse(t.dtype);
  return t.as<float>();
}

template <class H>
H* half(const Tensor& t) {
  constexpr DType type = sizeof(H) == 2 ? DType::bf16 : DType::f32;
  if (!t.none() && t.dtype != type)
    fail(ErrorKind::failure, "an operation's tensors are of {} and {}", name_of(type), name_of(t.dtype));
  return static_cast<H*>(t.data);
}

RowShape row_shape(const Tensor& x, const Tensor& modulation) {
  return {x.shape[0], x.shape[1], x.shape[0] / modulation.shape[0], modulation.shape[1]};
}

PatchShape patch_shape(const PatchGeometry& g, const Tensor& image) {
  return {image.shape[0], image.shape[1],  image.shape[2], image.shape[3],
          g.token_rows,   g.token_columns, g.size,         g.kernel_rows};
}

ImageShape image_shape(bool periodic, const Tensor& x, const Tensor& y) {
  return {x.shape[0], x.shape[1], y.shape[1], x.shape[2], x.shape[3], periodic};
}

RasterShape raster_shape(const TokenRaster& r, const Tensor& x) {
  return {x.shape[0] / (r.rows * r.columns), r.rows, r.columns, x.shape[1], r.periodic};
}

template <class H>
Attention<H> attention_of(const AttentionShape& shape, const SequenceTable& table, const std::int32_t* numbers,
                          const Tensor& qkv, const Tensor& q_gain, const Tensor& k_gain, const Tensor& log_sum) {
  if (shape.head_size % 2 != 0 || shape.head_size > 192)
    fail(ErrorKind::usage, "attention on CUDA: head size {}, must be even and at most 192", shape.head_size);
  Attention<H> a{};
  a.batch = shape.batch;
  a.tokens = table.token_count();
  a.heads = shape.heads;
  a.head_size = shape.head_size;
  a.sequences = table.sequences();
  a.longest = table.longest;
  a.offsets = numbers;
  a.order = numbers + table.offsets.size();
  a.cosine = wide(table.cosine);
  a.sine = wide(table.sine);
  a.q_gain = wide(q_gain);
  a.k_gain = wide(k_gain);
  a.qkv = half<H>(qkv);
  a.log_sum = wide(log_sum);
  return a;
}

/// Whether several blocks share a sequence, so that its rows are better made once than by each.
bool gathers(const AttentionShape& shape, const SequenceTable& table) {
  return shape.head_size % 8 == 0 && attention_tile_chunks(table.longest, shape.head_size) > 1;
}

/// Scratch of n tensors of gathered rows, [batch x tokens, width] each; null unless `wanted`.
template <std::size_t n>
class Rows {
 public:
  Rows(Context& ctx, const AttentionShape& shape, std::int64_t tokens, bool wanted) {
    if (wanted)
      for (Tensor& t : tensors_) t = ctx.take({shape.batch * tokens, shape.width()}, DType::bf16);
  }
  bf16* operator[](std::size_t i) const { return half<bf16>(tensors_[i]); }
  void release(Context& ctx) {
    for (Tensor& t : tensors_)
      if (!t.none()) ctx.release(t);
  }

 private:
  std::array<Tensor, n> tensors_;
};

}  // namespace

// --- what the device keeps

CudaBackend::CudaBackend(int device, const MakeProducts& make_products, const MakeLongAttention& make_long_attention)
    : memory_(std::make_unique<CudaMemory>(device)),
      products_(make_products(*memory_)),
      long_attention_(make_long_attention(*memory_)),
      graphs_(std::make_unique<Graphs>()) {}

CudaBackend::~CudaBackend() = default;

const std::byte* CudaBackend::kept(std::uint64_t id, std::span<const std::byte> first,
                                   std::span<const std::byte> second) {
  Buffer& buffer = tables_[id];
  if (buffer.data() && id != 0) return static_cast<const std::byte*>(buffer.data());
  refuse_while_recording("bring a table to the device");
  // Tables without a number of their own share one place and are copied each time.
  const std::size_t bytes = first.size() + second.size();
  if (buffer.bytes() < bytes) buffer = Buffer(bytes, *memory_);
  auto* to = static_cast<std::byte*>(buffer.data());
  memory_->copy_in(to, first.data(), first.size());
  if (!second.empty()) memory_->copy_in(to + first.size(), second.data(), second.size());
  return to;
}

const std::int32_t* CudaBackend::numbers_of(const SequenceTable& table) {
  return reinterpret_cast<const std::int32_t*>(
      kept(table.id, std::as_bytes(std::span(table.offsets)), std::as_bytes(std::span(table.tokens))));
}

const std::byte* CudaBackend::kept(std::string bytes) {
  const auto [at, added] = values_.try_emplace(std::move(bytes));
  if (added) {
    refuse_while_recording("bring weights to the device");
    at->second = Buffer(at->first.size(), *memory_);
    memory_->copy_in(at->second.data(), at->first.data(), at->first.size());
  }
  return static_cast<const std::byte*>(at->second.data());
}

double* CudaBackend::partial_sums(std::int64_t n) {
  const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(double);
  if (sums_.bytes() < bytes) {
    refuse_while_recording("make room for sums");
    outgrown_.push_back(std::move(sums_));  // a recorded step may write there
    sums_ = Buffer(bytes, *memory_);
  }
  host_sums_.resize(static_cast<std::size_t>(n));
  return static_cast<double*>(sums_.data());
}

const std::vector<double>& CudaBackend::fetch_sums() {
  refuse_while_recording("return a number");
  memory_->copy_out(host_sums_.data(), sums_.data(), host_sums_.size() * sizeof(double));
  return host_sums_;
}

// --- steps of fixed shapes, recorded once

struct CudaBackend::Graphs {
  struct Step {
    bool prepared = false, refused = false;
    cudaGraphExec_t graph{};
  };
  std::map<std::uint64_t, Step> steps;
  bool recording = false;
  void drop(Step& step) const {
    if (step.graph) (void)cudaGraphExecDestroy(step.graph);
  }
  ~Graphs() {
    for (auto& [key, step] : steps) drop(step);
  }
};

void CudaBackend::refuse_while_recording(const char* what) const {
  if (graphs_->recording) fail(ErrorKind::failure, "a step that is being recorded cannot {}", what);
}

void CudaBackend::forget(std::uint64_t key) {
  const auto at = graphs_->steps.find(key);
  if (at == graphs_->steps.end()) return;
  memory_->synchronise();
  graphs_->drop(at->second);
  graphs_->steps.erase(at);
}

void CudaBackend::repeat(std::uint64_t key, const std::function<void()>& step) {
  Graphs::Step& known = graphs_->steps[key];
  const Stream stream = memory_->stream();
  if (!known.prepared || known.refused) {
    step();  // tables travel, algorithms are chosen: nothing of that can be recorded
    known.prepared = true;
    return;
  }
  if (!known.graph) {
    cudaGraph_t graph{};
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording a step");
    graphs_->recording = true;
    std::exception_ptr failure;
    try {
      step();
    } catch (...) {
      failure = std::current_exception();
    }
    graphs_->recording = false;
    const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
    if (ended == cudaErrorStreamCaptureInvalidated || ended == cudaErrorStreamCaptureUnsupported) {
      (void)cudaGetLastError();
      known.refused = true;
      log::warning("CUDA cannot record this step ({}); it runs operation by operation", cudaGetErrorString(ended));
      return step();
    }
    if (failure) {
      if (graph) (void)cudaGraphDestroy(graph);
      std::rethrow_exception(failure);
    }
    check(ended, "recording a step");
    const cudaError_t status = cudaGraphInstantiate(&known.graph, graph, 0);
    (void)cudaGraphDestroy(graph);
    check(status, "recording a step");
  }
  check(cudaGraphLaunch(known.graph, stream), "repeating a step");
}

// --- products

void CudaBackend::gemm(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& c, const GemmOptions& options) {
  if (ctx.planning()) return;
  if (a.dtype != DType::bf16) (void)wide(a);
  if (c.dtype != DType::bf16) (void)wide(c);
  const int first = c.shape.rank() == 3 ? 1 : 0;
  Product p;
  p.count = first ? c.shape[0] : 1;
  p.m = c.shape[first];
  p.n = c.shape[first + 1];
  p.k = a.shape[first + (options.transpose_a ? 0 : 1)];
  p.transpose_a = options.transpose_a;
  p.transpose_b = options.transpose_b;
  p.accumulate = options.accumulate;
  p.operands = a.dtype;
  p.result = c.dtype;
  p.a = a.data;
  p.b = b.data;
  p.c = c.data;
  p.bias = wide(options.bias);
  p.activated = options.activated.data;
  products_->multiply(p, memory_->stream());
}

void CudaBackend::quantise_columns(Context& ctx, const Tensor& w, const Tensor& values, const Tensor& scales) {
  if (ctx.planning()) return;
  cuda::quantise_columns(memory_->stream(), wide(w), values.as<std::int8_t>(), wide(scales), w.shape[0], w.shape[1]);
}

void CudaBackend::gemm_int8(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& scales, const Tensor& c,
                            const GemmOptions& options) {
  const Tensor& some = c.none() ? options.activated : c;
  const std::int64_t m = some.shape[0], n = some.shape[1], k = a.shape[1];
  Tensor numbers = ctx.take({m, k}, DType::i8), row_scales = ctx.take({m}, DType::f32),
         sums = ctx.take({m, n}, DType::f32);  // of 32-bit integers
  if (!ctx.planning()) {
    const Stream stream = memory_->stream();
    auto* left = numbers.as<std::int8_t>();
    const auto* right = b.as<std::int8_t>();
    auto* sum = reinterpret_cast<std::int32_t*>(sums.as<float>());
    by_half(a.dtype, [&](auto h) { quantise_rows(stream, half<const decltype(h)>(a), left, wide(row_scales), m, k); });
    if (!products_->multiply_bytes(m, n, k, left, right, sum, stream))
      multiply_bytes(stream, left, right, sum, m, n, k);
    by_half(some.dtype, [&](auto h) {
      using C = decltype(h);
      scale_back(stream, sum, wide(row_scales), wide(scales), wide(options.bias), half<C>(c),
                 half<C>(options.activated), m, n);
    });
  }
  ctx.release(numbers, row_scales, sums);
}

void CudaBackend::bias_gradient(Context& ctx, const Tensor& dy, const Tensor& gradient) {
  const std::int64_t n = gradient.count(), rows = dy.count() / n;
  Tensor partial = ctx.take({pieces_of(rows), n}, DType::f32);
  if (!ctx.planning())
    by_half(dy.dtype, [&](auto h) {
      using H = decltype(h);
      cuda::bias_gradient(memory_->stream(), half<const H>(dy), rows, n, wide(gradient), wide(partial));
    });
  ctx.release(partial);
}

// --- attention

bool CudaBackend::by_library(const AttentionShape& shape, const SequenceTable& table, bool backward) {
  const LongAttentionShape whole{shape.batch, shape.heads, table.token_count(), shape.head_size};
  return long_attention_ && table.sequences() == 1 && long_attention_->covers(whole) &&
         (!backward || long_attention_->covers_backward(whole));
}

void CudaBackend::attention(Context& ctx, const AttentionShape& shape, const SequenceTable& table, const Tensor& qkv,
                            const Tensor& q_gain, const Tensor& k_gain, const Tensor& y, const Tensor& log_sum) {
  if (qkv.dtype == DType::bf16) return attention_in_bf16(ctx, shape, table, qkv, q_gain, k_gain, y, log_sum);
  if (ctx.planning()) return;
  Attention<float> a = attention_of<float>(shape, table, numbers_of(table), qkv, q_gain, k_gain, log_sum);
  a.y = wide(y);
  attention_rows(memory_->stream(), a);
}

void CudaBackend::attention_in_bf16(Context& ctx, const AttentionShape& shape, const SequenceTable& table,
                                    const Tensor& qkv, const Tensor& q_gain, const Tensor& k_gain, const Tensor& y,
                                    const Tensor& log_sum) {
  const std::int64_t tokens = table.token_count();
  const bool library = by_library(shape, table, false), gathered = library || gathers(shape, table);
  Rows<3> rows(ctx, shape, tokens, gathered);
  Rows<1> attended(ctx, shape, tokens, library);
  Tensor sums = library ? ctx.take({shape.batch * shape.heads, tokens}, DType::f32) : Tensor{};
  if (!ctx.planning()) {
    const Stream stream = memory_->stream();
    Attention<bf16> a = attention_of<bf16>(shape, table, numbers_of(table), qkv, q_gain, k_gain, log_sum);
    a.y = half<bf16>(y);
    if (gathered) attention_gather(stream, a, rows[0], rows[1], rows[2]);
    if (library) {
      long_attention_->forward({shape.batch, shape.heads, tokens, shape.head_size}, rows[0], rows[1], rows[2],
                               attended[0], wide(sums), stream);
      attention_scatter(stream, a, attended[0], wide(sums));
    } else {
      for (std::size_t part = 0; part < 3; ++part) a.gathered[part] = rows[part];
      attention_tiles(stream, a);
    }
  }
  rows.release(ctx);
  attended.release(ctx);
  if (library) ctx.release(sums);
}

void CudaBackend::attention_backward(Context& ctx, const AttentionShape& shape, const SequenceTable& table,
                                     const Tensor& qkv, const Tensor& q_gain, const Tensor& k_gain, const Tensor& y,
                                     const Tensor& log_sum, const Tensor& dy, const Tensor& dqkv, const Tensor& dq_gain,
                                     const Tensor& dk_gain) {
  const bool in_bf16 = qkv.dtype == DType::bf16, library = in_bf16 && by_library(shape, table, true);
  const std::int64_t chunks = library   ? attention_scatter_chunks(table.longest)
                              : in_bf16 ? attention_tile_chunks(table.longest, shape.head_size)
                                        : attention_row_chunks(table.longest),
                     blocks = shape.batch * table.sequences() * shape.heads * chunks;
  Tensor gains = ctx.take({2, blocks, shape.head_size}, DType::f32);
  float* gain_partial = wide(gains);
  if (library) {
    attention_backward_by_library(ctx, shape, table, qkv, q_gain, k_gain, y, log_sum, dy, dqkv, gain_partial);
  } else {
    Tensor row_dot = ctx.take({shape.batch * table.token_count(), shape.heads}, DType::f32);
    Rows<4> rows(ctx, shape, table.token_count(), in_bf16 && gathers(shape, table));
    if (!ctx.planning())
      by_half(qkv.dtype, [&](auto h) {
        using H = decltype(h);
        const Stream stream = memory_->stream();
        Attention<H> a = attention_of<H>(shape, table, numbers_of(table), qkv, q_gain, k_gain, log_sum);
        a.dy = half<H>(dy);
        a.dqkv = half<H>(dqkv);
        a.row_dot = wide(row_dot);
        a.gain_partial = gain_partial;
        attention_row_dots(stream, a, static_cast<const H*>(half<H>(y)));
        if constexpr (sizeof(H) == 2) {
          if (rows[0]) {
            attention_gather(stream, a, rows[0], rows[1], rows[2]);
            attention_gather_gradient(stream, a, nullptr, rows[3], nullptr, nullptr);
          }
          for (std::size_t part = 0; part < 4; ++part) a.gathered[part] = rows[part];
          attention_tiles_backward(stream, a);
        } else {
          attention_rows_backward(stream, a);
        }
      });
    rows.release(ctx);
    ctx.release(row_dot);
  }
  if (!ctx.planning())
    for (int part = 0; part < 2; ++part) {
      const Tensor& gradient = part == 0 ? dq_gain : dk_gain;
      if (!gradient.none())
        sum_pieces(memory_->stream(), gain_partial + part * blocks * shape.head_size, 1, blocks, shape.head_size,
                   shape.head_size, wide(gradient), 0, true);
    }
  ctx.release(gains);
}

void CudaBackend::attention_backward_by_library(Context& ctx, const AttentionShape& shape, const SequenceTable& table,
                                                const Tensor& qkv, const Tensor& q_gain, const Tensor& k_gain,
                                                const Tensor& y, const Tensor& log_sum, const Tensor& dy,
                                                const Tensor& dqkv, float* gain_partial) {
  const std::int64_t tokens = table.token_count();
  Rows<5> rows(ctx, shape, tokens, true);  // q, k, v, dy, y
  Rows<3> gradients(ctx, shape, tokens, true);
  Tensor sums = ctx.take({shape.batch * shape.heads, tokens}, DType::f32);
  if (!ctx.planning()) {
    const Stream stream = memory_->stream();
    Attention<bf16> a = attention_of<bf16>(shape, table, numbers_of(table), qkv, q_gain, k_gain, log_sum);
    a.dy = half<bf16>(dy);
    a.dqkv = half<bf16>(dqkv);
    a.gain_partial = gain_partial;
    attention_gather(stream, a, rows[0], rows[1], rows[2]);
    attention_gather_gradient(stream, a, half<bf16>(y), rows[3], rows[4], wide(sums));
    long_attention_->backward({shape.batch, shape.heads, tokens, shape.head_size}, rows[0], rows[1], rows[2], rows[4],
                              wide(sums), rows[3], gradients[0], gradients[1], gradients[2], stream);
    attention_scatter_gradient(stream, a, gradients[0], gradients[1], gradients[2]);
  }
  rows.release(ctx);
  gradients.release(ctx);
  ctx.release(sums);
}

void CudaBackend::attention_tangent(Context& ctx, const AttentionShape& shape, const SequenceTable& table,
                                    const Tensor& qkv, const Tensor& q_gain, const Tensor& k_gain,
                                    const Tensor& log_sum, const Tensor& dqkv, const Tensor& dy) {
  if (ctx.planning()) return;
  Attention<float> a = attention_of<float>(shape, table, numbers_of(table), qkv, q_gain, k_gain, log_sum);
  a.dqkv_in = wide(dqkv);
  a.y = wide(dy);
  attention_rows_tangent(memory_->stream(), a);
}

// --- norms and gates

void CudaBackend::norm_modulate(Context& ctx, NormKind kind, const Tensor& x, const Modulation& m, const Tensor& y,
                                const Tensor& statistics) {
  if (ctx.planning()) return;
  by_half(y.dtype, [&](auto h) {
    using H = decltype(h);
    cuda::norm_modulate(memory_->stream(), kind == NormKind::layer, row_shape(x, m.rows), wide(x),
                        wide(m.rows) + m.scale, wide(m.rows) + m.shift, half<H>(y), wide(statistics));
  });
}

void CudaBackend::norm_modulate_backward(Context& ctx, NormKind kind, const Tensor& x, const Modulation& m,
                                         const Tensor& statistics, const Tensor& dy, const Tensor& dx, bool accumulate,
                                         const Modulation& gradient) {
  const RowShape s = row_shape(x, m.rows);
  Tensor partial = ctx.take({m.rows.shape[0] * pieces_of(s.rows_per_group), 2, s.width}, DType::f32);
  if (!ctx.planning())
    by_half(dy.dtype, [&](auto h) {
      using H = decltype(h);
      const bool wanted = !gradient.rows.none();
      float* rows = wide(gradient.rows);
      cuda::norm_modulate_backward(memory_->stream(), kind == NormKind::layer, s, wide(x), wide(m.rows) + m.scale,
                                   wide(statistics), half<const H>(dy), wide(dx), accumulate,
                                   wanted ? rows + gradient.scale : nullptr, wanted ? rows + gradient.shift : nullptr,
                                   wanted ? gradient.rows.shape[1] : 0, wide(partial));
    });
  ctx.release(partial);
}

void CudaBackend::norm_modulate_tangent(Context& ctx, NormKind kind, const Tensor& x, const Modulation& m,
                                        const Tensor& statistics, const Tensor& dx, const Tensor& dy) {
  if (ctx.planning()) return;
  cuda::norm_modulate_tangent(memory_->stream(), kind == NormKind::layer, row_shape(x, m.rows), wide(x),
                              wide(m.rows) + m.scale, wide(statistics), wide(dx), wide(dy));
}

void CudaBackend::gated_add(Context& ctx, const Tensor& x, const Tensor& branch, const Tensor& rows, std::int64_t gate,
                            const Tensor& y) {
  if (ctx.planning()) return;
  by_half(branch.dtype, [&](auto h) {
    using H = decltype(h);
    cuda::gated_add(memory_->stream(), row_shape(y, rows), wide(x), half<const H>(branch), wide(rows) + gate, wide(y));
  });
}

void CudaBackend::gated_add_backward(Context& ctx, const Tensor& branch, const Tensor& rows, std::int64_t gate,
                                     const Tensor& dy, const Tensor& dbranch, const Tensor& rows_gradient) {
  const RowShape s = row_shape(dy, rows);
  Tensor partial = ctx.take({rows.shape[0] * pieces_of(s.rows_per_group), s.width}, DType::f32);
  if (!ctx.planning())
    by_half(branch.dtype, [&](auto h) {
      using H = decltype(h);
      const bool wanted = !rows_gradient.none();
      cuda::gated_add_backward(memory_->stream(), s, half<const H>(branch), wide(rows) + gate, wide(dy),
                               half<H>(dbranch), wanted ? wide(rows_gradient) + gate : nullptr,
                               wanted ? rows_gradient.shape[1] : 0, wide(partial));
    });
  ctx.release(partial);
}

// --- pointwise

void CudaBackend::gelu(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  by_half(x.dtype, [&](auto h) {
    using H = decltype(h);
    cuda::gelu(memory_->stream(), half<const H>(x), half<H>(y), x.count());
  });
}

void CudaBackend::gelu_backward(Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx, const Tensor& y) {
  if (ctx.planning()) return;
  by_half(x.dtype, [&](auto h) {
    using H = decltype(h);
    cuda::gelu_backward(memory_->stream(), half<const H>(x), half<const H>(dy), half<H>(dx), half<H>(y), x.count());
  });
}

void CudaBackend::add(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  by_half(x.dtype, [&](auto h) {
    using H = decltype(h);
    cuda::add(memory_->stream(), half<const H>(x), half<H>(y), x.count());
  });
}

void CudaBackend::add_rows(Context& ctx, const Tensor& x, const Tensor& rows, const Tensor& y) {
  if (ctx.planning()) return;
  by_half(x.dtype, [&](auto h) {
    using H = decltype(h);
    cuda::add_rows(memory_->stream(), half<const H>(x), half<const H>(rows), half<H>(y), x.count(), rows.count());
  });
}

void CudaBackend::sum_rows(Context& ctx, const Tensor& dy, const Tensor& gradient, bool accumulate) {
  if (ctx.planning()) return;
  by_half(dy.dtype, [&](auto h) {
    using H = decltype(h);
    const std::int64_t period = gradient.count();
    cuda::sum_rows(memory_->stream(), half<const H>(dy), half<H>(gradient), dy.count() / period, period, accumulate);
  });
}

void CudaBackend::fill(Context& ctx, const Tensor& x, double value) {
  if (ctx.planning()) return;
  by_half(x.dtype, [&](auto h) {
    using H = decltype(h);
    cuda::fill(memory_->stream(), half<H>(x), x.count(), static_cast<float>(value));
  });
}

void CudaBackend::copy(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  memory_->copy(y.data, x.data, x.bytes());
}

void CudaBackend::cast(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  if (x.dtype == y.dtype) return memory_->copy(y.data, x.data, x.bytes());
  if (x.dtype == DType::f32 && y.dtype == DType::bf16)
    return cuda::cast(memory_->stream(), wide(x), half<bf16>(y), x.count());
  if (x.dtype == DType::bf16 && y.dtype == DType::f32)
    return cuda::cast(memory_->stream(), half<bf16>(x), wide(y), x.count());
  refuse(x.dtype == DType::f32 || x.dtype == DType::bf16 ? y.dtype : x.dtype);
}

// --- images

void CudaBackend::patch_gather(Context& ctx, const PatchGeometry& geometry, const Tensor& image, const Tensor& patches,
                               bool average) {
  if (ctx.planning()) return;
  cuda::patch_gather(memory_->stream(), patch_shape(geometry, image), wide(image), wide(patches), average);
}

void CudaBackend::patch_scatter(Context& ctx, const PatchGeometry& geometry, const Tensor& patches, const Tensor& image,
                                bool average) {
  if (ctx.planning()) return;
  cuda::patch_scatter(memory_->stream(), patch_shape(geometry, image), wide(patches), wide(image), average);
}

void CudaBackend::convolution(Context& ctx, bool periodic, const Tensor& x, const Tensor& weight, const Tensor& bias,
                              const Tensor& y) {
  if (ctx.planning()) return;
  cuda::convolution(memory_->stream(), image_shape(periodic, x, y), wide(x), wide(weight), wide(bias), wide(y));
}

void CudaBackend::convolution_backward_input(Context& ctx, bool periodic, const Tensor& weight, const Tensor& dy,
                                             const Tensor& dx) {
  if (ctx.planning()) return;
  cuda::convolution_backward_input(memory_->stream(), image_shape(periodic, dx, dy), wide(weight), wide(dy), wide(dx));
}

void CudaBackend::convolution_backward_weight(Context& ctx, bool periodic, const Tensor& x, const Tensor& dy,
                                              const Tensor& weight_gradient, const Tensor& bias_gradient) {
  const ImageShape s = image_shape(periodic, x, dy);
  Tensor partial = ctx.take({convolution_pieces(s), s.out * s.in * 9 + s.out}, DType::f32);
  if (!ctx.planning())
    cuda::convolution_backward_weight(memory_->stream(), s, wide(x), wide(dy), wide(weight_gradient),
                                      wide(bias_gradient), wide(partial));
  ctx.release(partial);
}

void CudaBackend::map_channels(Context& ctx, const Tensor& x, std::span<const ChannelTerm> terms, const Tensor& y,
                               bool accumulate) {
  if (ctx.planning()) return;
  // By channel of y, in the given order: first [channels + 1], from, factor.
  const std::int64_t channels = y.shape[1];
  std::vector<ChannelTerm> sorted(terms.begin(), terms.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.to < b.to; });
  const std::size_t numbers = static_cast<std::size_t>(channels) + 1 + 2 * sorted.size();
  std::string bytes(numbers * sizeof(std::int32_t), '\0');
  auto* first = reinterpret_cast<std::int32_t*>(bytes.data());
  std::int32_t* from = first + channels + 1;
  std::int32_t* factor = from + sorted.size();
  for (std::size_t t = 0; t < sorted.size(); ++t) {
    ++first[sorted[t].to + 1];
    from[t] = sorted[t].from;
    std::memcpy(factor + t, &sorted[t].factor, sizeof(float));
  }
  std::partial_sum(first, first + channels + 1, first);
  const auto* on_device = reinterpret_cast<const std::int32_t*>(kept(std::move(bytes)));
  const std::int32_t* from_on_device = on_device + channels + 1;
  cuda::map_channels(memory_->stream(),
                     {y.shape[0], x.shape[1], channels, y.shape[2] * y.shape[3], on_device, from_on_device,
                      reinterpret_cast<const float*>(from_on_device + sorted.size())},
                     wide(x), wide(y), accumulate);
}

ChannelRanges CudaBackend::ranges_of(std::span<const ChannelRange> ranges, const Tensor& x) {
  const std::size_t n = ranges.size();
  std::string bytes(3 * n * sizeof(float), '\0');
  for (std::size_t r = 0; r < n; ++r) {
    std::memcpy(bytes.data() + r * sizeof(float), &ranges[r].channel, sizeof(float));
    std::memcpy(bytes.data() + (n + r) * sizeof(float), &ranges[r].lower, sizeof(float));
    std::memcpy(bytes.data() + (2 * n + r) * sizeof(float), &ranges[r].upper, sizeof(float));
  }
  const std::byte* on_device = kept(std::move(bytes));
  const auto* bounds = reinterpret_cast<const float*>(on_device);
  return {x.shape[0],
          x.shape[1],
          x.shape[2] * x.shape[3],
          static_cast<std::int64_t>(n),
          reinterpret_cast<const std::int32_t*>(on_device),
          bounds + n,
          bounds + 2 * n};
}

void CudaBackend::bound_channels(Context& ctx, std::span<const ChannelRange> ranges, const Tensor& x) {
  if (ctx.planning() || ranges.empty()) return;
  cuda::bound_channels(memory_->stream(), ranges_of(ranges, x), wide(x));
}

void CudaBackend::bound_channels_backward(Context& ctx, std::span<const ChannelRange> ranges, const Tensor& bounded,
                                          const Tensor& gradient) {
  if (ctx.planning() || ranges.empty()) return;
  cuda::bound_channels_backward(memory_->stream(), ranges_of(ranges, bounded), wide(bounded), wide(gradient));
}

// --- tokens

void CudaBackend::permute_rows(Context& ctx, const Tensor& x, const IndexTable& index, const Tensor& y) {
  if (ctx.planning()) return;
  const auto* numbers =
      reinterpret_cast<const std::int32_t*>(kept(index.id, std::as_bytes(std::span(index.values)), {}));
  cuda::permute_rows(memory_->stream(), x.data, numbers, y.data, x.shape[0],
                     static_cast<std::int64_t>(index.values.size()),
                     x.shape[1] * static_cast<std::int64_t>(size_of(x.dtype)));
}

void CudaBackend::depthwise(Context& ctx, const TokenRaster& raster, const Tensor& x, const Tensor& weight,
                            const Tensor& bias, const Tensor& y) {
  if (ctx.planning()) return;
  cuda::depthwise(memory_->stream(), raster_shape(raster, x), wide(x), wide(weight), wide(bias), wide(y));
}

void CudaBackend::depthwise_backward_input(Context& ctx, const TokenRaster& raster, const Tensor& weight,
                                           const Tensor& dy, const Tensor& dx) {
  if (ctx.planning()) return;
  cuda::depthwise_backward_input(memory_->stream(), raster_shape(raster, dy), wide(weight), wide(dy), wide(dx));
}

void CudaBackend::depthwise_backward_weight(Context& ctx, const TokenRaster& raster, const Tensor& x, const Tensor& dy,
                                            const Tensor& weight_gradient, const Tensor& bias_gradient) {
  Tensor partial = ctx.take({pieces_of(x.shape[0]), 10, x.shape[1]}, DType::f32);
  if (!ctx.planning())
    cuda::depthwise_backward_weight(memory_->stream(), raster_shape(raster, x), wide(x), wide(dy),
                                    wide(weight_gradient), wide(bias_gradient), wide(partial));
  ctx.release(partial);
}

// --- training

namespace {

/// Images' rows in pieces of one chunk each, and the chunks' first pieces.
struct LossPieces {
  std::vector<std::int64_t> rows{0}, first_of_chunk{0};

  LossPieces(std::span<const std::int64_t> cuts, std::int64_t height) {
    constexpr std::int64_t most_rows = 16;
    const std::int64_t whole[] = {0, height};
    if (cuts.empty()) cuts = whole;
    for (const std::int64_t end : cuts.subspan(1)) {
      while (rows.back() < end) rows.push_back(std::min(end, rows.back() + most_rows));
      first_of_chunk.push_back(count());
    }
  }
  std::int64_t count() const { return static_cast<std::int64_t>(rows.size()) - 1; }
  std::size_t chunks() const { return first_of_chunk.size() - 1; }
};

/// Points that the loss is the mean over.
double points_of(const LossTerms& terms, const Shape& shape, int members) {
  const std::int64_t rows = terms.rows.whole > 0 ? terms.rows.whole : shape[2];
  return double(shape[0] / members) * double(rows) * double(shape[3]);
}

LossShape loss_shape(const LossTerms& terms, const Tensor& prediction, const Tensor& target, const Tensor& gradient,
                     const LossWeights& by, const Tensor& parts) {
  const Shape& shape = prediction.shape;
  if (target.shape != shape || (!gradient.none() && gradient.shape != shape) || parts.dtype != DType::f64 ||
      parts.count() != by.chunks)
    fail(ErrorKind::failure, "loss of prediction {} against target {}: shapes or parts do not fit", shape.to_string(),
         target.shape.to_string());
  return {shape[0], shape[1], shape[2], shape[3], terms.kind == LossKind::squared};
}

}  // namespace

/// `members` of an ensemble count as one field; 1 for a loss of each.
LossWeights CudaBackend::weights_of(const LossTerms& terms, const Shape& shape, int members, double scale) {
  const LossPieces pieces(terms.rows.cuts, shape[2]);
  const std::int64_t batch = shape[0] / members;
  const auto channels = static_cast<std::size_t>(shape[1]), fields = static_cast<std::size_t>(batch) * channels;
  if (terms.row_weight.size() != static_cast<std::size_t>(shape[2]) || terms.channel_weight.size() != channels ||
      (!terms.sample_weight.empty() && terms.sample_weight.size() != static_cast<std::size_t>(batch)) ||
      pieces.rows.back() != shape[2] || (!terms.rows.parts.empty() && terms.rows.parts.size() != pieces.chunks()))
    fail(ErrorKind::failure, "loss of {}: weights or chunks of rows do not fit", shape.to_string());
  const double divisor =
      points_of(terms, shape, members) * std::accumulate(terms.channel_weight.begin(), terms.channel_weight.end(), 0.0);
  std::vector<double> field(fields);
  for (std::size_t f = 0; f < fields; ++f)
    field[f] = (terms.sample_weight.empty() ? 1.0 : double(terms.sample_weight[f / channels])) *
               double(terms.channel_weight[f % channels]) / divisor;
  std::string bytes;
  const auto add = [&](const auto& numbers) {
    const std::size_t at = bytes.size();
    bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(numbers[0]));
    return at;
  };
  const std::size_t row_at = add(terms.row_weight), field_at = add(field), rows_at = add(pieces.rows),
                    chunks_at = add(pieces.first_of_chunk);
  const std::byte* on_device = kept(std::move(bytes));
  return {reinterpret_cast<const double*>(on_device + row_at),
          reinterpret_cast<const double*>(on_device + field_at),
          reinterpret_cast<const std::int64_t*>(on_device + rows_at),
          reinterpret_cast<const std::int64_t*>(on_device + chunks_at),
          pieces.count(),
          static_cast<std::int64_t>(pieces.chunks()),
          scale};
}

void CudaBackend::loss_parts(Context& ctx, const LossTerms& terms, const Tensor& prediction, const Tensor& target,
                             const Tensor& gradient, double scale, const Tensor& parts) {
  if (ctx.planning()) return;
  const LossWeights by = weights_of(terms, prediction.shape, 1, scale);
  const LossShape s = loss_shape(terms, prediction, target, gradient, by, parts);
  double* partial = partial_sums(s.batch * s.channels * by.pieces);
  cuda::loss(memory_->stream(), s, by, wide(prediction), wide(target), wide(gradient), partial, parts.as<double>());
}

void CudaBackend::crps_parts(Context& ctx, const LossTerms& terms, int members, const Tensor& prediction,
                             const Tensor& target, const Tensor& gradient, double scale, const Tensor& parts) {
  if (members < 2 || members > crps_most_members || prediction.shape[0] % members != 0)
    fail(ErrorKind::usage, "CRPS on CUDA: {} members of {}, must be 2 to {} and divide the batch", members,
         prediction.shape.to_string(), crps_most_members);
  if (ctx.planning()) return;
  const LossWeights by = weights_of(terms, prediction.shape, members, scale);
  const LossShape s = loss_shape(terms, prediction, target, gradient, by, parts);
  double* partial = partial_sums(s.batch / members * s.channels * by.pieces);
  cuda::crps(memory_->stream(), s, by, members, wide(prediction), wide(target), wide(gradient), partial,
             parts.as<double>());
}

double CudaBackend::added(const LossTerms& terms, const std::function<void(const Tensor&)>& find_parts) {
  refuse_while_recording("return a number");
  const std::size_t chunks = terms.rows.cuts.empty() ? 1 : terms.rows.cuts.size() - 1;
  if (parts_.bytes() < chunks * sizeof(double)) parts_ = Buffer(chunks * sizeof(double), *memory_);
  find_parts(Tensor(parts_.data(), {static_cast<std::int64_t>(chunks)}, DType::f64, Device::cuda));
  std::vector<double> parts(chunks);
  memory_->copy_out(parts.data(), parts_.data(), chunks * sizeof(double));
  std::copy_n(parts.begin(), terms.rows.parts.size(), terms.rows.parts.begin());
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

double CudaBackend::loss(Context& ctx, const LossTerms& terms, const Tensor& prediction, const Tensor& target,
                         const Tensor& gradient, double scale, std::span<double> per_channel) {
  if (ctx.planning()) return 0;
  const double total =
      added(terms, [&](const Tensor& parts) { loss_parts(ctx, terms, prediction, target, gradient, scale, parts); });
  if (per_channel.empty()) return total;
  const auto channels = static_cast<std::size_t>(prediction.shape[1]);
  if (per_channel.size() != channels)
    fail(ErrorKind::failure, "loss of {} channels asked for {}", channels, per_channel.size());
  std::fill(per_channel.begin(), per_channel.end(), 0.0);
  const std::vector<double>& sums = fetch_sums();
  const std::size_t fields = static_cast<std::size_t>(prediction.shape[0]) * channels, pieces = sums.size() / fields;
  for (std::size_t f = 0; f < fields; ++f) {
    const auto begin = sums.begin() + static_cast<std::ptrdiff_t>(f * pieces);
    const double sample = terms.sample_weight.empty() ? 1.0 : double(terms.sample_weight[f / channels]);
    per_channel[f % channels] += sample * std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(pieces), 0.0) /
                                 points_of(terms, prediction.shape, 1);
  }
  return total;
}

double CudaBackend::crps(Context& ctx, const LossTerms& terms, int members, const Tensor& prediction,
                         const Tensor& target, const Tensor& gradient, double scale) {
  if (ctx.planning()) return 0;
  return added(
      terms, [&](const Tensor& parts) { crps_parts(ctx, terms, members, prediction, target, gradient, scale, parts); });
}

void CudaBackend::adamw(const AdamW& o, std::int64_t step, double decay, const Tensor& w, const Tensor& g,
                        const Tensor& m, const Tensor& v, const Tensor& copy) {
  const double correction1 = 1 - std::pow(o.beta1, double(step)), correction2 = 1 - std::pow(o.beta2, double(step));
  const AdamWRates rates{float(o.learning_rate / correction1),
                         float(o.learning_rate * decay),
                         float(o.beta1),
                         float(o.beta2),
                         float(1 / correction2),
                         float(o.epsilon),
                         float(o.gradient_scale)};
  cuda::adamw(memory_->stream(), rates, wide(w), wide(g), wide(m), wide(v), half<bf16>(copy), w.count());
}

double CudaBackend::square_sum(const Tensor& x, std::int64_t raster) {
  constexpr std::int64_t chunk = 16384;
  const std::int64_t n = x.count();
  if (n == 0) return 0;
  const std::int64_t chunks = (raster + n - 1) / chunk - raster / chunk + 1;
  double* part = partial_sums(chunks);
  cuda::square_sum(memory_->stream(), wide(x), n, raster, chunk, part, chunks);
  const std::vector<double>& sums = fetch_sums();
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

void CudaBackend::scale(const Tensor& x, double factor) {
  cuda::scale(memory_->stream(), wide(x), static_cast<float>(factor), x.count());
}

void CudaBackend::average(const Tensor& x, const Tensor& mean, double decay) {
  cuda::average(memory_->stream(), wide(x), wide(mean), static_cast<float>(1 - decay), x.count());
}

}  // namespace zonda::model::cuda
