// The `zonda` program: words in, one stage called, exit code out.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "app/verb.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/provenance.hpp"
#include "core/signals.hpp"
#include "parallel/faults/watched_world.hpp"
#include "parallel/mpi_session.hpp"

namespace zonda::app {
namespace {

/// An error on one rank of several ends them all. Root speaks first, so that an error they share is printed once.
int end_with(parallel::MpiSession& session, int exit_code, const std::string& message) {
  const bool alone = session.world().size() == 1;
  if (!session.world().is_root()) std::this_thread::sleep_for(std::chrono::milliseconds(500));
  log::error("{}", message);
  if (!alone) session.abort(exit_code);
  return exit_code;
}

int run(int argc, char** argv) {
  const double collective_timeout = parallel::collective_timeout();
  parallel::MpiSession mpi(argc, argv);
  const parallel::WatchedWorld watched(mpi.world(), collective_timeout);
  Session session{watched.world()};
  log::set_speaking(session.speaks());
  catch_stop_signals();

  CLI::App program("Zonda: from observations to edge forecasts.\n", "zonda");
  program.require_subcommand(1);
  program.set_version_flag("--version", code_version());
  std::function<void()> chosen;
  for (const Verb& verb :
       {run_verb(), simulate_verb(), ingest_verb(), train_verb(), distill_verb(), assimilate_verb(), cycle_verb(),
        forecast_verb(), verify_verb(), submit_verb(), status_verb(), cancel_verb(), validate_verb(), plan_verb(),
        export_verb(), inspect_verb(), hub_verb(), schema_verb(), version_verb()}) {
    CLI::App* command = program.add_subcommand(verb.name, verb.summary);
    command->footer("\nExample:\n  " + verb.example);
    command->add_flag("--json", session.json, "Print results on stdout as JSON");
    auto action = verb.set_up(*command, session);
    command->final_callback([&chosen, action] { chosen = action; });
  }
  program.footer("\nExample:\n  zonda run configs/quickstart.yaml");

  try {
    program.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return session.speaks() ? program.exit(help) : 0;
  } catch (const CLI::CallForVersion& version) {
    return session.speaks() ? program.exit(version) : 0;
  } catch (const CLI::ParseError& wrong) {
    if (session.speaks()) program.exit(wrong);
    return wrong.get_exit_code() == 0 ? 0 : static_cast<int>(ErrorKind::usage);
  }
  try {
    chosen();
    return 0;
  } catch (const Interrupted& stop) {
    // All ranks stop together, so they leave in good order and their launcher sees this exit code.
    if (session.speaks()) log::error("{}", stop.what());
    // By SIGUSR1 schedulers say that the time is up: the work goes on later.
    return stop.signal_number() == SIGUSR1 ? static_cast<int>(ErrorKind::temporary) : stop.exit_code();
  } catch (const Error& error) {
    return end_with(mpi, error.exit_code(), error.what());
  } catch (const std::bad_alloc&) {
    return end_with(mpi, static_cast<int>(ErrorKind::failure), "out of memory; `zonda plan` tells what a run needs");
  } catch (const std::exception& error) {
    return end_with(mpi, static_cast<int>(ErrorKind::failure), error.what());
  }
}

}  // namespace

void print_result(const Session& session, const std::string& text) {
  if (!session.speaks()) return;
  std::fputs(text.c_str(), stdout);
  if (text.empty() || text.back() != '\n') std::fputc('\n', stdout);
  std::fflush(stdout);
}

}  // namespace zonda::app

int main(int argc, char** argv) {
  try {
    return zonda::app::run(argc, argv);
  } catch (const zonda::Error& error) {  // of starting the ranks
    zonda::log::error("{}", error.what());
    return error.exit_code();
  }
}
