#include "ingest/sources/eccodes_library.hpp"

#include <eccodes.h>

#include "core/error.hpp"

// Exported by libeccodes, though its header does not declare it: without it a failed assertion ends the process.
extern "C" void codes_set_codes_assertion_failed_proc(void (*procedure)(const char* message));

namespace zonda::ingest {
namespace {

void assertion_failed(const char* message) {
  fail(ErrorKind::data, "ecCodes cannot decode it: {}", message);
}

}  // namespace

std::unique_lock<std::mutex> use_eccodes() {
  static std::mutex mutex;
  std::unique_lock lock(mutex);
  static const bool prepared = [] {
    codes_context_set_logging_proc(codes_context_get_default(), [](const codes_context*, int, const char*) {});
    codes_set_codes_assertion_failed_proc(assertion_failed);
    return true;
  }();
  static_cast<void>(prepared);
  return lock;
}

}  // namespace zonda::ingest
