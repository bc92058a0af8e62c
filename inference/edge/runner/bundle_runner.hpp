#pragma once
// The native runtime as the agent's model.
#include <functional>

#include "inference/edge/station/model_runner.hpp"

namespace zonda::edge {

/// Opens bundles with the native runtime. A model that is opened while another lives becomes its sibling: tensors they
/// have in common are neither read nor verified again, and where network and grid are the same the two share tables and
/// memory. `threads`: 0: one a core. `heartbeat` is called between steps of scheduled runs. From any thread.
OpenModel bundle_opener(int threads, std::function<void()> heartbeat);

/// The same, and a way to read a bundle's manifest ahead: `open` takes what `prepare` has read of the folder last,
/// once.
struct BundleModels {
  OpenModel open;
  PrepareModel prepare;
};
BundleModels bundle_models(int threads, std::function<void()> heartbeat);

}  // namespace zonda::edge
