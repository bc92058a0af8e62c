// distill_once TEACHER ARCHIVE DIRECTORY: one small distillation, continued if it was begun. For tests that kill it.
#include <cstdio>

#include "core/error.hpp"
#include "core/signals.hpp"
#include "tests/model/distillation/small_distillation.hpp"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  zonda::catch_stop_signals();
  try {
    zonda::model::run_distill(zonda::small_distillation(12), zonda::parallel::Communicator::self(), argv[1], argv[2],
                              argv[3], true);
  } catch (const zonda::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  } catch (const zonda::Interrupted& stop) {
    return stop.exit_code();
  }
  return 0;
}
