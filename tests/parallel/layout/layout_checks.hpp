#pragma once
// What meshes, redistributions and halo exchanges must do on any communicator.
#include <span>

#include "communicator_checks.hpp"

namespace zonda::parallel {

std::span<const CommunicatorCheck> layout_checks();

}  // namespace zonda::parallel
