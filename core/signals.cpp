#include "core/signals.hpp"

#include <unistd.h>

#include <csignal>

namespace zonda {
namespace {

volatile std::sig_atomic_t requested = 0;

extern "C" void on_stop_signal(int signal_number) {
  if (requested == signal_number) ::_exit(128 + signal_number);
  requested = signal_number;
}

}  // namespace

void catch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = on_stop_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM, SIGUSR1}) sigaction(number, &action, nullptr);
}

std::optional<int> stop_requested() {
  const int number = requested;
  return number == 0 ? std::nullopt : std::optional<int>(number);
}

void request_stop(int signal_number) {
  requested = signal_number;
}

}  // namespace zonda
