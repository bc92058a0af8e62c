#pragma once
// Debian's HDF5 for OpenMPI (and NetCDF on top of it) is built without thread safety: whoever calls it holds this lock.
#include <mutex>

namespace zonda::ingest {

/// One for the process. Recursive, so that a function that holds it may call another that takes it.
inline std::recursive_mutex& hdf5_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

using Hdf5Lock = std::lock_guard<std::recursive_mutex>;

}  // namespace zonda::ingest
