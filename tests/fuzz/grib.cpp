// Any bytes as a GRIB file.
#include "fuzzed_file.hpp"

/// ecCodes 2.28 forgets a few hundred bytes where it refuses a message.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libeccodes";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  zonda::fuzz::read_as_source(data, size, "grib");
  return 0;
}
