#include <CLI/CLI.hpp>

#include "app/run_file.hpp"
#include "app/verb.hpp"

namespace zonda::app {

Verb schema_verb() {
  return {"schema", "Print the JSON Schema of run files, or their reference page",
          "zonda schema > run-file.schema.json", [](CLI::App& command, Session& session) {
            auto markdown = std::make_shared<bool>(false);
            command.add_flag("--markdown", *markdown, "Print docs/configuration.md instead");
            return [&session, markdown] {
              print_result(session, *markdown ? reference_page() : run_file_schema().dump(2));
            };
          }};
}

}  // namespace zonda::app
