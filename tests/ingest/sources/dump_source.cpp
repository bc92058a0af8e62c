// For the peer scripts: `dump_source PATH` prints the inventory as JSON; `dump_source PATH FOLDER` also writes each
// field to FOLDER/<index>.f32.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "ingest/sources/inspect_source.hpp"

int main(int count, char** arguments) {
  using namespace zonda;
  try {
    if (count < 2) fail(ErrorKind::usage, "usage: dump_source PATH [FOLDER]");
    ingest::InspectOptions options;
    options.statistics = count == 2;
    const auto report = ingest::inspect_source(arguments[1], {}, options);
    std::printf("%s\n", report.dump(1).c_str());
    if (count > 2) {
      const auto source = ingest::open_source(arguments[1]);
      for (std::size_t i = 0; i < source->fields().size(); ++i) {
        ingest::dump_field(*source, i, std::filesystem::path(arguments[2]) / (std::to_string(i) + ".f32"));
      }
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
