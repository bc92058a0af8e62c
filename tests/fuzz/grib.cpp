// Any bytes as a GRIB file.
#include "fuzzed_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  zonda::fuzz::read_as_source(data, size, "grib");
  return 0;
}
