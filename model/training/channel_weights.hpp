#pragma once
// Loss weights of the channels: level weight p / mean(p); 2 m temperature 1, other fields without levels 0.1.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/variables.hpp"

namespace zonda::model {

/// Weights by these rules. `overrides`: `z500=2.0` for a channel, `q=0.5` for all levels of a variable; `key` names
/// them in errors. Throws Error(usage) for a channel that is not there.
std::vector<float> channel_weights(std::span<const Channel> channels, std::span<const std::string> overrides,
                                   std::string_view key = "train.channel_weights");
/// The same over `weights` instead of the rules'.
std::vector<float> override_weights(std::vector<float> weights, std::span<const Channel> channels,
                                    std::span<const std::string> overrides, std::string_view key);

}  // namespace zonda::model
