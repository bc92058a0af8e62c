#pragma once
// zstd as an HDF5 filter under its registered id, so that HDF5 itself can read archive files in this process.

namespace zonda::ingest {

inline constexpr int kZstdFilterId = 32015;
/// Idempotent; takes hdf5_mutex(). Throws Error(failure).
void register_zstd_filter();

}  // namespace zonda::ingest
