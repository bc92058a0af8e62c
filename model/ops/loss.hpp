#pragma once
// The training loss in normalised space: area-weighted, channel-weighted squared or absolute error with its gradient.
#include <cstdint>
#include <span>

#include "model/tensor/tensor.hpp"

namespace zonda::model {

enum class LossKind { squared, absolute };

/// Images that are some rows of larger ones, and the chunks of rows whose parts of the loss are found one by one.
struct LossRows {
  std::int64_t whole = 0;              ///< rows of the images that the loss is the mean over; 0: their own
  std::span<const std::int64_t> cuts;  ///< [chunks + 1] the first row of each chunk, and the rows' number; empty: one
  std::span<double> parts;             ///< [chunks] or empty: what each adds to the loss, overwritten
};

/// What a loss weighs by; spans as in weighted_loss().
struct LossTerms {
  LossKind kind = LossKind::squared;
  std::span<const double> row_weight;
  std::span<const float> channel_weight, sample_weight;
  LossRows rows{};
};

/// loss = sum over b, c, i, j of sample_weight[b] channel_weight[c] row_weight[i] d / (B * H * W * sum of channel
/// weights), d = (prediction - target)^2 or |prediction - target|. Summed in f64 in fixed chunks: the same bits on any
/// number of threads. A target that is NaN is left out of the sum and gets gradient 0 (masked); the divisor stays. A
/// NaN prediction gives a NaN loss. With LossRows H is the whole images', the result the sum of the chunks' parts, and
/// a part has the same bits in whichever images its rows lie.
/// @param prediction  [B, C, H, W] f32 or f64
/// @param target      the same shape and type
/// @param row_weight      of the images' rows, over the whole grid of mean 1: Grid::row_weights()
/// @param channel_weight  [C]
/// @param sample_weight   [B], or empty for ones
/// @param gradient    [B, C, H, W], overwritten with dloss/dprediction times `scale`; may be none; may alias the
/// prediction
/// @param per_channel [C] or empty: weighted mean of d per channel without the channel's weight (for the log),
/// overwritten
double weighted_loss(LossKind kind, const Tensor& prediction, const Tensor& target, std::span<const double> row_weight,
                     std::span<const float> channel_weight, std::span<const float> sample_weight,
                     const Tensor& gradient, double scale = 1.0, std::span<double> per_channel = {},
                     const LossRows& rows = {});

/// Fair continuous ranked probability score of ensembles of M members (Zamo & Naveau 2018, eq. 8): with the members'
/// errors e = prediction - target, at each point the mean over i of |e_i| minus the sum over i, j of |e_i - e_j| / (2 M
/// (M - 1)), averaged with the weights of weighted_loss(); its mean does not depend on M. An error may have its own
/// target: what is scored is e. Masked where the first member's target is NaN. The same bits on any number of threads.
/// @param prediction  [B M, C, H, W] f32 or f64; members of a sample are neighbours
/// @param target      the same shape and type
/// @param gradient    as in weighted_loss()
double fair_crps(int members, const Tensor& prediction, const Tensor& target, std::span<const double> row_weight,
                 std::span<const float> channel_weight, const Tensor& gradient, double scale = 1.0,
                 const LossRows& rows = {});

}  // namespace zonda::model
