#pragma once
// The optimiser's arithmetic on a ParameterStore: AdamW (Loshchilov & Hutter 2019), gradient norm, moving average.
// Deterministic: the same bits on any number of threads (fixed chunks, summed in order in f64).
#include <cstdint>

#include "model/tensor/parameter_store.hpp"

namespace zonda::model {

struct AdamW {
  double learning_rate = 5e-4;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double weight_decay = 0.05;   ///< on parameters whose `decay` is set (matrices) only
  double gradient_scale = 1.0;  ///< multiplies every gradient: clipping, accumulation, loss scaling
};

class Backend;

// Of tensors, on the host.
void adamw_step(const AdamW& options, std::int64_t step, double decay, const Tensor& w, const Tensor& g,
                const Tensor& m, const Tensor& v);
double square_sum(const Tensor& x, std::int64_t raster);
void scale_by(const Tensor& x, double factor);
void average_into(const Tensor& x, const Tensor& mean, double decay);

// Of a ParameterStore; `backend` is the one whose memory holds it, none for the host's.

/// One AdamW step, `step` counted from 1, on the numbers [first, first + n) of the arenas (a shard); n = -1: to the
/// end. Needs gradients and moments. Bias-corrected; decoupled decay: w -= lr (m^ / (sqrt(v^) + eps) + decay w).
void adamw_step(ParameterStore& store, const AdamW& options, std::int64_t step, std::int64_t first = 0,
                std::int64_t n = -1, Backend* backend = nullptr);

/// sqrt(sum of squares of all gradients).
double gradient_norm(const ParameterStore& store, Backend* backend = nullptr);
/// Sum of squares of gradients [first, first + n): what ranks add up.
double gradient_square_sum(const ParameterStore& store, std::int64_t first, std::int64_t n, Backend* backend = nullptr);
/// Multiplies all gradients.
void scale_gradients(ParameterStore& store, double factor, Backend* backend = nullptr);

/// average = decay * average + (1 - decay) * values.
void average_update(ParameterStore& store, double decay, Backend* backend = nullptr);

}  // namespace zonda::model
