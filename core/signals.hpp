#pragma once
// Orderly stops: SIGINT, SIGTERM and SIGUSR1 (Slurm's --signal) set a flag that long stages look at between steps.
#include <optional>

namespace zonda {

/// Installs the handlers; a second signal of the same kind ends the program at once.
void catch_stop_signals();
/// The signal that asked for a stop, if one did.
std::optional<int> stop_requested();
/// For tests: pretends that a signal came (0 clears it).
void request_stop(int signal_number);

}  // namespace zonda
