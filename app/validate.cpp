#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/run_file.hpp"
#include "app/verb.hpp"
#include "core/error.hpp"

namespace zonda::app {

Verb validate_verb() {
  return {"validate", "Check a run file: every fault at once, with line and column",
          "zonda validate configs/quickstart.yaml", [](CLI::App& command, Session& session) {
            auto words = std::make_shared<RunFileWords>();
            words->plan_suffices = true;
            add_run_file_words(command, *words);
            return [&session, words] {
              try {
                const RunFile run_file = load_run_file(*words);
                nlohmann::ordered_json record{
                    {"file", words->path.string()}, {"valid", true}, {"stages", run_file.stages()}};
                std::string text = words->path.string() + ": valid; stages:";
                for (const std::string& stage : run_file.stages()) text += " " + stage;
                print_result(session, session.json ? record.dump(2) : text);
              } catch (const Error& error) {
                if (session.json) {
                  print_result(
                      session,
                      nlohmann::ordered_json{{"file", words->path.string()}, {"valid", false}, {"faults", error.what()}}
                          .dump(2));
                }
                throw;
              }
            };
          }};
}

}  // namespace zonda::app
