#pragma once
// The optimiser's arithmetic on a ParameterStore: AdamW (Loshchilov & Hutter 2019), gradient norm, moving average.
// Deterministic: the same bits on any number of threads (fixed chunks, summed in order in f64).
#include <cstdint>
#include <vector>

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
                const Tensor& m, const Tensor& v, const Tensor& copy = {});
double square_sum(const Tensor& x, std::int64_t raster);
void scale_by(const Tensor& x, double factor);
void average_into(const Tensor& x, const Tensor& mean, double decay);

// Of a ParameterStore; `backend` is the one whose memory holds it, none for the host's.

/// One AdamW step, `step` counted from 1, on the numbers [first, first + n) of the arenas (a shard); n = -1: to the
/// end. Needs gradients and moments. Bias-corrected; decoupled decay: w -= lr (m^ / (sqrt(v^) + eps) + decay w).
void adamw_step(ParameterStore& store, const AdamW& options, std::int64_t step, std::int64_t first = 0,
                std::int64_t n = -1, Backend* backend = nullptr);

/// Each parameter is cut into pieces of so many numbers; a share of the parameters that begins and ends between pieces
/// (a piece's first number, a parameter's first) has whole terms of the gradient's norm.
inline constexpr std::int64_t optimiser_piece = 16384;
/// Sums of squares of the pieces that begin in gradients [first, first + n) of a store on the host, in order.
std::vector<double> gradient_square_sums(const ParameterStore& store, std::int64_t first, std::int64_t n);
/// Pieces that begin in [first, first + n).
std::size_t count_pieces(const ParameterStore& store, std::int64_t first, std::int64_t n);
/// sqrt(sum of squares of all gradients), pieces added in order; a device has its own order.
double gradient_norm(const ParameterStore& store, Backend* backend = nullptr);
/// Multiplies all gradients.
void scale_gradients(ParameterStore& store, double factor, Backend* backend = nullptr);

/// average = decay * average + (1 - decay) * values, of the numbers [first, first + n); n = -1: to the end.
void average_update(ParameterStore& store, double decay, Backend* backend = nullptr, std::int64_t first = 0,
                    std::int64_t n = -1);

}  // namespace zonda::model
