#pragma once
// The first answer of merged tokens to how they depart from those that stand for them (network/merged_blocks.hpp).
#include <functional>
#include <span>

#include "model/network/forecast_network.hpp"

namespace zonda::model {

/// Whether its matrix is more than the zeros that it begins with.
bool has_merged_response(const ForecastNetwork& network);

/// Sets the network's matrix R [D, D] to the ridge regression of what the departure d of a token given up changes:
/// passes of all tokens, made by `forecasts`, show both d ahead of a level's blocks and, behind them, what the token
/// changed by beyond the mean of those that would stand for it. Every such token of every level and pass is one sample;
/// D (D + 1) / 2 + D^2 sums in f64 are all that is held. Levels that begin with the first block are left out: nobody is
/// shown its input; without others R stays as it is. Returns the part of the variance that R explains. The network,
/// on the host, has such a matrix, and is not merged meanwhile; its tap is replaced by none.
double fit_merged_response(ForecastNetwork& network, std::span<const TokenMerging> levels,
                           const std::function<void()>& forecasts);

}  // namespace zonda::model
