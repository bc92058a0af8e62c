// train_once ARCHIVE DIRECTORY: one small training run, resumed if it was begun. For tests that kill it.
#include <cstdio>

#include "core/error.hpp"
#include "core/signals.hpp"
#include "parallel/mpi_session.hpp"
#include "tests/model/training/small_training.hpp"

int main(int argc, char** argv) {
  zonda::parallel::MpiSession session(argc, argv);
  if (argc != 3) return 2;
  zonda::catch_stop_signals();
  zonda::model::TrainConfig config = zonda::training_in_phases(25);
  config.checkpoint.every = 3;
  try {
    zonda::model::run_train(config, session.world(), argv[1], argv[2], true);
  } catch (const zonda::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  } catch (const zonda::Interrupted& stop) {
    return stop.exit_code();
  }
  return 0;
}
