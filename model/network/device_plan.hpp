#pragma once
// Over how many devices the training of a network fits. Arithmetic alone: nothing is allocated.
#include <cstddef>
#include <optional>
#include <string>

#include "model/network/forecast_network.hpp"

namespace zonda::model {

/// Training of `batch` samples on n devices that share everything evenly: weights, bf16 copies, gradients, moments and
/// average by ranges of parameters (ZeRO 3: Rajbhandari et al. 2020), activations, tables and fields by bands of the
/// grid. A device holds divided / n + whole.
struct DevicePlan {
  MemoryPlan memory;        ///< on a single device
  std::size_t fields = 0;   ///< input, output and its gradient
  std::size_t divided = 0;  ///< memory and fields
  std::size_t whole = 0;  ///< the largest unit of parameters, gathered: two in the products' type, one gradient in f32
  std::optional<int> devices;  ///< the fewest over which it fits; none where `whole` alone does not
  /// Of each of n devices.
  std::size_t per_device(int n) const { return divided / static_cast<std::size_t>(n) + whole; }
};

/// Share of a device's memory that is planned for; the rest is the libraries'.
inline constexpr double device_share = 0.9;

/// `recompute`: none, mlp, block, for all blocks.
DevicePlan plan_devices(const ForecastNetwork& network, const std::string& recompute, int batch,
                        std::size_t device_bytes);

}  // namespace zonda::model
