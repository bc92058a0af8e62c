#pragma once
// The transformer as a forecast model.
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "assimilation/atmosphere/atmosphere_model.hpp"
#include "model/forecast_state/forecast_layout.hpp"
#include "model/network/forecast_network.hpp"

namespace zonda::assimilation {

struct NetworkOptions {
  std::optional<Duration> step{};  ///< one of the model's steps; default the shortest
  bool bounds = false;           ///< humidity, cloud and precipitation stay within what is possible after each step
  int batch = 8;                 ///< members that pass the network together
  int linearisations = 2;        ///< states about which activations are kept, each with a network of its own
  std::shared_ptr<model::Backend> backend{};  ///< none: the CPU
  /// Ranks that share each pass by latitude: they make the same calls with the same states, and get the same bits as
  /// one rank alone. A power of two.
  parallel::Communicator slabs = parallel::Communicator::self();
};

/// State: channel_layout of the channels that are fed back, in two slots [x(t - d), x(t)], SI. One step is one pass of
/// the network in fp32 at lead 0, forced by the time; tangent and adjoint are the network's own about the given state.
/// Where a value is held by its bound its derivative is 0. Several threads may call; they wait for one another. Throws
/// Error(data) where there is no model, Error(usage) where it has no such step.
AtmosphereModel open_network(const std::filesystem::path& model_folder, Time origin,
                             const NetworkOptions& options = {});

/// The same of a network at hand, in the type it has. `make` gives another network with the same weights at each call;
/// `identity` is that of layout and weights.
using NetworkMaker = std::function<std::unique_ptr<model::ForecastNetwork>()>;
AtmosphereModel network_model(model::ForecastLayout layout, const NetworkMaker& make, const std::string& identity,
                              Time origin, const NetworkOptions& options = {});

}  // namespace zonda::assimilation
