#pragma once
// A verb of the `zonda` program: it reads its words, then calls one stage. One file a verb; the table is in verbs.cpp.
#include <functional>
#include <span>
#include <string>

#include "parallel/communicator.hpp"

namespace CLI {
class App;
}

namespace zonda::app {

/// What every verb is given.
struct Session {
  parallel::Communicator world;
  bool json = false;  ///< results on stdout as JSON
  bool speaks() const { return world.is_root(); }
};

struct Verb {
  std::string name, summary, example;
  /// Adds options to `command` and returns what to do when the verb was chosen.
  std::function<std::function<void()>(CLI::App& command, Session& session)> set_up;
};

Verb run_verb();
Verb simulate_verb();
Verb ingest_verb();
Verb train_verb();
Verb distill_verb();
Verb assimilate_verb();
Verb cycle_verb();
Verb forecast_verb();
Verb verify_verb();
Verb submit_verb();
Verb status_verb();
Verb cancel_verb();
Verb validate_verb();
Verb plan_verb();
Verb export_verb();
Verb inspect_verb();
Verb hub_verb();
Verb schema_verb();
Verb version_verb();

/// Prints a result line (or JSON text) to stdout on the rank that speaks.
void print_result(const Session& session, const std::string& text);

}  // namespace zonda::app
