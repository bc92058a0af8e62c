#pragma once
// How much memory this process may hope for.
#include <cstddef>

namespace zonda::model {

/// The machine's memory, or what its control group leaves of it, bytes.
std::size_t machine_memory();

}  // namespace zonda::model
