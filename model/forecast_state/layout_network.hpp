#pragma once
// The network that a layout asks for: its grid, the numbers of its channels, their levels.
#include <memory>
#include <vector>

#include "model/forecast_state/forecast_layout.hpp"
#include "model/network/forecast_network.hpp"

namespace zonda::model {

/// The level of each input channel, counted from 0: first all that is not on a pressure level (surface fields, static
/// fields, forcings, the distance to a boundary), then the pressure levels from the lowest pressure up.
std::vector<int> input_levels(const ForecastLayout& layout);

/// `sharding`: how ranks share a sample.
ForecastNetwork network_of_layout(const NetworkConfig& config, const ForecastLayout& layout,
                                  std::shared_ptr<Backend> backend = nullptr, const Sharding& sharding = {});

}  // namespace zonda::model
