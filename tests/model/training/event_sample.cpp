// event_sample FOLDER: writes an event file of 50 steps for tests/peers/event_file.py.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "model/training/event_file.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    zonda::model::EventFile events(std::string(argv[1]) + "/events.out.tfevents.0.zonda", 0);
    for (int step = 1; step <= 50; ++step) {
      events.write({{"step", step}, {"phase", "single steps"}, {"loss", 2.0 / step}, {"lr", 1e-3}});
      if (step % 25 == 0) events.write({{"step", step}, {"validation", {{"rmse", {{"z500", 300.5}}}}}});
    }
    events.sync();
  } catch (const zonda::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
