// ingest_worker FOLDER: one whole ingest of the synthetic source; the test kills it.
#include <cstdio>

#include "core/log.hpp"
#include "tests/ingest/pipeline/synthetic_source.hpp"

int main(int, char** argv) {
  using namespace zonda;
  log::set_level(log::Level::error);
  try {
    ingest::run_ingest(ingest::synthetic_config(), parallel::Communicator::self(), argv[1], ingest::synthetic());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
