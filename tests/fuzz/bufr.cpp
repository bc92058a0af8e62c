// Any bytes as a BUFR file: what is read and what is rejected always balance.
#include <cstdlib>

#include "core/error.hpp"
#include "ingest/observations/files/bufr_reader.hpp"

/// What ecCodes 2.28 forgets of a message that it refuses, and udunits 2.2 of a wrong unit.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libeccodes\nleak:libudunits2";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zonda;
  try {
    const auto read = ingest::read_bufr({reinterpret_cast<const char*>(data), size}, "fuzz.bufr");
    if (!read.account.balanced()) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
  }
  return 0;
}
