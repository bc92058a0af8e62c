#pragma once
#include "inference/edge/station/model_runner.hpp"

namespace zonda::app {

/// Opens bundles with the native runtime. Models of one station share the memory of tensors they have in common.
/// `threads`: 0: one a core. `heartbeat` is called between steps.
edge::OpenModel bundle_opener(int threads, std::function<void()> heartbeat);

}  // namespace zonda::app
