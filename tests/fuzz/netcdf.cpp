// Any bytes as a NetCDF file of the classic formats. HDF5 files are left to the HDF5 library, which is not ours to
// mend: their bytes are read here only as far as their signature.
#include <cstring>

#include "fuzzed_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4 || std::memcmp(data, "CDF", 3) != 0) return 0;
  zonda::fuzz::read_as_source(data, size, "netcdf");
  return 0;
}
