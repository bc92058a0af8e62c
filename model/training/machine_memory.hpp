#pragma once
// How much memory this process has, and may hope for.
#include <cstddef>

namespace zonda::model {

/// The machine's memory, or what its control group leaves of it, bytes.
std::size_t machine_memory();

/// What this process has of it now, bytes, without what its heap could give back; 0 where the system does not tell.
std::size_t resident_memory();

}  // namespace zonda::model
