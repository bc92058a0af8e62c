#include "model/ops/cuda/cublaslt_products.hpp"

#include <cublasLt.h>

#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "core/error.hpp"
#include "model/ops/cuda/kernels.hpp"
#include "model/tensor/buffer.hpp"

namespace zonda::model::cuda {

namespace {

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(ErrorKind::failure, "cuBLASLt: {}: {}", what, cublasLtGetStatusString(status));
}

/// A cuBLASLt handle with its destructor.
template <class T, cublasStatus_t (*destroy)(T)>
struct Destroy {
  void operator()(std::remove_pointer_t<T>* handle) const { (void)destroy(handle); }
};
template <class T, cublasStatus_t (*destroy)(T)>
using Handle = std::unique_ptr<std::remove_pointer_t<T>, Destroy<T, destroy>>;
using Library = Handle<cublasLtHandle_t, cublasLtDestroy>;
using Description = Handle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Handle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Handle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cudaDataType_t type_of(DType type) {
  return type == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F;
}

/// Who adds the bias and applies GELU.
enum class Epilogue {
  fused,         ///< the library, with the bias as it is
  rounded_bias,  ///< the library, with the bias rounded to the result's type
  separate,      ///< a kernel of ours, after the product
};

/// The library is column-major: it computes c^T = op(b)^T op(a)^T, a row of c being its column.
struct Plan {
  Description description;
  Layout left, right, result;
  cublasLtMatmulAlgo_t algorithm;
  Epilogue epilogue = Epilogue::separate;
};

using Key =
    std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool, bool, bool, DType, DType, bool, bool>;

class CublasLtProducts final : public ProductLibrary {
 public:
  explicit CublasLtProducts(CudaMemory& memory) : memory_(memory), workspace_(workspace_bytes, memory) {
    (void)memory.stream();
    cublasLtHandle_t handle = nullptr;
    check(cublasLtCreate(&handle), "starting");
    library_.reset(handle);
  }

  void multiply(const Product& p, Stream stream) override {
    const Plan& plan = plan_of(p);
    const bool fused = plan.epilogue != Epilogue::separate;
    if (fused && p.bias) {
      const void* bias = p.bias;
      if (plan.epilogue == Epilogue::rounded_bias) {
        cast(stream, p.bias, static_cast<bf16*>(bias_.data()), p.n);
        bias = bias_.data();
      }
      set(plan.description.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    }
    // With GELU the library's result is GELU(c), and c what it calls auxiliary.
    const bool gelu = fused && p.activated;
    if (gelu) set(plan.description.get(), CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, p.c);
    void* to = gelu ? p.activated : p.c;
    const float one = 1, beta = p.accumulate ? 1 : 0;
    check(cublasLtMatmul(library_.get(), plan.description.get(), &one, p.b, plan.left.get(), p.a, plan.right.get(),
                         &beta, to, plan.result.get(), to, plan.result.get(), &plan.algorithm, workspace_.data(),
                         workspace_.bytes(), stream),
          "multiplying");
    if (fused) return;
    if (p.result == DType::bf16)
      finish_product(stream, static_cast<bf16*>(p.c), p.bias, static_cast<bf16*>(p.activated), p.count * p.m, p.n);
    else
      finish_product(stream, static_cast<float*>(p.c), p.bias, static_cast<float*>(p.activated), p.count * p.m, p.n);
  }

  bool multiply_bytes(std::int64_t m, std::int64_t n, std::int64_t k, const std::int8_t* a, const std::int8_t* b,
                      std::int32_t* c, Stream stream) override {
    const auto [at, added] = byte_plans_.try_emplace({m, n, k});
    if (added) {
      // Its tensor cores take bytes as op(b)^T op(a) alone, rows on 4 bytes.
      Plan plan;
      plan.description = description(CUBLAS_COMPUTE_32I, CUDA_R_32I, true, false);
      plan.left = layout(CUDA_R_8I, k, n, 1);
      plan.right = layout(CUDA_R_8I, k, m, 1);
      plan.result = layout(CUDA_R_32I, n, m, 1);
      if (find_algorithm(plan)) at->second = std::move(plan);
    }
    if (!at->second) return false;
    const Plan& plan = *at->second;
    const std::int32_t one = 1, zero = 0;
    check(cublasLtMatmul(library_.get(), plan.description.get(), &one, b, plan.left.get(), a, plan.right.get(), &zero,
                         c, plan.result.get(), c, plan.result.get(), &plan.algorithm, workspace_.data(),
                         workspace_.bytes(), stream),
          "multiplying bytes");
    return true;
  }

 private:
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;

  template <class T>
  static void set(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute, const T& value) {
    check(cublasLtMatmulDescSetAttribute(description, attribute, &value, sizeof(value)), "describing a product");
  }

  const Plan& plan_of(const Product& p) {
    const Key key{p.count,
                  p.m,
                  p.n,
                  p.k,
                  p.transpose_a,
                  p.transpose_b,
                  p.accumulate,
                  p.operands,
                  p.result,
                  p.bias != nullptr,
                  p.activated != nullptr};
    if (const auto known = plans_.find(key); known != plans_.end()) return known->second;
    // GELU of the sum with the bias, once per product: not with accumulation, nor over a batch.
    const bool wanted = p.bias || p.activated, possible = p.count == 1 && !(p.accumulate && p.activated);
    for (const Epilogue epilogue : {Epilogue::fused, Epilogue::rounded_bias, Epilogue::separate}) {
      if (epilogue != Epilogue::separate && !(wanted && possible)) continue;
      if (epilogue == Epilogue::rounded_bias && !(p.bias && p.result == DType::bf16)) continue;
      Plan plan;
      if (!choose(p, epilogue, plan)) continue;
      if (epilogue == Epilogue::rounded_bias && bias_.bytes() < static_cast<std::size_t>(p.n) * sizeof(bf16)) {
        outgrown_.push_back(std::move(bias_));  // a recorded step may use it
        bias_ = Buffer(static_cast<std::size_t>(p.n) * sizeof(bf16), memory_);
      }
      return plans_.emplace(key, std::move(plan)).first->second;
    }
    fail(ErrorKind::failure, "cuBLASLt has no algorithm for a product of {} x {} x {} in {}", p.m, p.n, p.k,
         name_of(p.operands));
  }

  static Layout layout(cudaDataType_t type, std::int64_t rows, std::int64_t columns, std::int64_t count) {
    cublasLtMatrixLayout_t made = nullptr;
    check(cublasLtMatrixLayoutCreate(&made, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns),
                                     rows),
          "describing a matrix");
    Layout handle(made);
    if (count > 1) {
      const auto batch = static_cast<std::int32_t>(count);
      const std::int64_t stride = rows * columns;
      check(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof(batch)),
            "describing a batch");
      check(
          cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof(stride)),
          "describing a batch");
    }
    return handle;
  }

  static Description description(cublasComputeType_t compute, cudaDataType_t scale, bool transpose_left,
                                 bool transpose_right) {
    cublasLtMatmulDesc_t made = nullptr;
    check(cublasLtMatmulDescCreate(&made, compute, scale), "describing a product");
    Description handle(made);
    set(made, CUBLASLT_MATMUL_DESC_TRANSA, transpose_left ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(made, CUBLASLT_MATMUL_DESC_TRANSB, transpose_right ? CUBLAS_OP_T : CUBLAS_OP_N);
    return handle;
  }

  /// False where the library has no algorithm.
  bool choose(const Product& p, Epilogue epilogue, Plan& plan) {
    plan.description = description(CUBLAS_COMPUTE_32F, CUDA_R_32F, p.transpose_b, p.transpose_a);
    plan.epilogue = epilogue;
    cublasLtMatmulDesc_t made = plan.description.get();
    if (epilogue != Epilogue::separate) {
      set(made, CUBLASLT_MATMUL_DESC_EPILOGUE,
          p.activated ? (p.bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX)
                      : CUBLASLT_EPILOGUE_BIAS);
      if (p.bias)
        set(made, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, epilogue == Epilogue::rounded_bias ? CUDA_R_16BF : CUDA_R_32F);
      if (p.activated) {
        set(made, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.n);
        set(made, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, type_of(p.result));
      }
    }
    const cudaDataType_t operand = type_of(p.operands);
    plan.left = p.transpose_b ? layout(operand, p.k, p.n, p.count) : layout(operand, p.n, p.k, p.count);
    plan.right = p.transpose_a ? layout(operand, p.m, p.k, p.count) : layout(operand, p.k, p.m, p.count);
    plan.result = layout(type_of(p.result), p.n, p.m, p.count);
    return find_algorithm(plan);
  }

  bool find_algorithm(Plan& plan) {
    cublasLtMatmulPreference_t made = nullptr;
    check(cublasLtMatmulPreferenceCreate(&made), "choosing an algorithm");
    const Preference preference(made);
    const std::uint64_t bytes = workspace_bytes;
    // Sums of split products go through the workspace in a fixed order, never in place.
    const std::uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    check(cublasLtMatmulPreferenceSetAttribute(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof(bytes)),
          "choosing an algorithm");
    check(cublasLtMatmulPreferenceSetAttribute(made, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes,
                                               sizeof(schemes)),
          "choosing an algorithm");
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(library_.get(), plan.description.get(), plan.left.get(), plan.right.get(),
                                       plan.result.get(), plan.result.get(), made, 1, &result, &found);
    plan.algorithm = result.algo;
    return status == CUBLAS_STATUS_SUCCESS && found > 0;
  }

  CudaMemory& memory_;
  Library library_;
  Buffer workspace_, bias_;
  std::vector<Buffer> outgrown_;
  std::map<Key, Plan> plans_;
  std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, std::optional<Plan>> byte_plans_;
};

}  // namespace

std::unique_ptr<ProductLibrary> cublaslt_products(CudaMemory& memory) {
  return std::make_unique<CublasLtProducts>(memory);
}

}  // namespace zonda::model::cuda
