#pragma once
// The MPI communicator of a group of ranks, for libraries that speak MPI themselves (parallel HDF5).
#include <mpi.h>

#include <optional>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

/// None where the ranks are threads, or one process without MPI. It belongs to the group; libraries take copies.
std::optional<MPI_Comm> mpi_handle(const Communicator& ranks);

}  // namespace zonda::parallel
