// The `zonda-station` program: no MPI, HDF5 or NetCDF; it runs on the small machine beside the sensors.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/station/station_program.hpp"
#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/provenance.hpp"
#include "core/signals.hpp"
#include "inference/edge/runner/bundle_runner.hpp"
#include "inference/edge/station/resident_memory.hpp"
#include "inference/edge/station/slots.hpp"

namespace zonda::app {
namespace {

struct Words {
  std::filesystem::path config = "/etc/zonda-station/station.yaml";
  bool json = false;
};

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  if (text.empty() || text.back() != '\n') std::fputc('\n', stdout);
}

bool stopping() {
  return stop_requested().has_value();
}

void run(const Words& words) {
  StationProgram(edge::read_station_config(words.config), stopping).run();
}

void once(const Words& words) {
  StationProgram program(edge::read_station_config(words.config), stopping);
  program.once();
  print(words.json ? program.status().dump(2) : status_text(program.status()));
}

void status(const Words& words) {
  const auto file = edge::read_station_config(words.config).directory / "status.json";
  if (!std::filesystem::exists(file))
    fail(ErrorKind::data, "{}: not there; has the station been started?", file.string());
  const auto record = nlohmann::ordered_json::parse(read_file(file));
  print(words.json ? record.dump(2) : status_text(record));
}

void self_test(const Words& words) {
  const edge::StationConfig config = edge::read_station_config(words.config);
  const edge::Slots slots(config.directory / "models");
  const auto slot = slots.serving();
  if (!slot) fail(ErrorKind::data, "{}: no model serves here", (config.directory / "models").string());
  edge::bundle_opener(config.model.threads, {})(slots.path(*slot))->self_test();
  const edge::Release release = *slots.release(*slot);
  print(words.json
            ? nlohmann::ordered_json{{"model", release.name}, {"version", release.version}, {"passed", true}}.dump(2)
            : fmt::format("{} {}: passed", release.name, release.version));
}

void schema(const Words&) {
  edge::StationConfig config;
  config::Table table;
  edge::describe(table, config);
  print(table.schema().dump(2));
}

void reference(const Words&) {
  edge::StationConfig config;
  config::Table table;
  edge::describe(table, config);
  print(table.reference());
}

struct Verb {
  const char *name, *summary, *example;
  void (*action)(const Words&);
};
constexpr Verb verbs[] = {
    {"run", "Serve: ask the hub, update, forecast, until stopped", "zonda-station run --config station.yaml", run},
    {"once", "Ask the hub, update and forecast once", "zonda-station once --config station.yaml", once},
    {"status", "What the running station last said of itself", "zonda-station status --json", status},
    {"self-test", "Run the golden input of the model that serves", "zonda-station self-test", self_test},
    {"schema", "JSON Schema of the configuration", "zonda-station schema", schema},
    {"reference", "Every key of the configuration, as a table", "zonda-station reference", reference},
};

int main_program(int argc, char** argv) {
  catch_stop_signals();
  edge::prefer_small_memory();
  CLI::App program("Zonda station: pulls, runs and serves a regional weather model.\n", "zonda-station");
  program.require_subcommand(1);
  program.set_version_flag("--version", code_version());
  program.footer("\nExample:\n  zonda-station run --config /etc/zonda-station/station.yaml");
  Words words;
  const Verb* chosen = nullptr;
  for (const Verb& verb : verbs) {
    CLI::App* command = program.add_subcommand(verb.name, verb.summary);
    command->add_option("--config", words.config, "Configuration")->capture_default_str();
    command->add_flag("--json", words.json, "Print results on stdout as JSON");
    command->footer(std::string("\nExample:\n  ") + verb.example);
    command->final_callback([&chosen, &verb] { chosen = &verb; });
  }
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    program.exit(wrong);
    return wrong.get_exit_code() == 0 ? 0 : static_cast<int>(ErrorKind::usage);
  }
  try {
    chosen->action(words);
    return 0;
  } catch (const Error& error) {
    log::error("{}", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    log::error("{}", error.what());
    return static_cast<int>(ErrorKind::failure);
  }
}

}  // namespace
}  // namespace zonda::app

int main(int argc, char** argv) {
  return zonda::app::main_program(argc, argv);
}
