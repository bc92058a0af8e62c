// Any bytes as a run file: read, or refused with Error(usage); what was read comes back the same from its full form.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/config/table.hpp"
#include "core/error.hpp"

namespace zonda::config {

struct Part {
  std::string path;
  int every = 1;
};
void describe(Table& table, Part& c) {
  table.key("path", c.path, "").required();
  table.key("every", c.every, "").range(1, 100);
}

struct Whole {
  bool flag = false;
  std::int64_t count = 1;
  std::uint64_t seed = 1;
  double rate = 0.5;
  std::string name, method = "nearest";
  Time start{};
  Duration step{};
  std::optional<double> limit;
  std::optional<std::string> title;
  std::vector<int> levels;
  std::vector<double> weights;
  std::vector<std::string> words;
  std::vector<Time> times;
  std::vector<Duration> leads;
  Part part{"x"};
  std::optional<Part> extra;
  std::vector<Part> parts;
};
void describe(Table& table, Whole& c) {
  table.key("flag", c.flag, "");
  table.key("count", c.count, "").range(-1e15, 1e15);
  table.key("seed", c.seed, "");
  table.key("rate", c.rate, "").range(-1e6, 1e6);
  table.key("name", c.name, "");
  table.key("method", c.method, "").one_of({"nearest", "bilinear"});
  table.key("start", c.start, "");
  table.key("step", c.step, "");
  table.key("limit", c.limit, "");
  table.key("title", c.title, "");
  table.key("levels", c.levels, "").range(1, 1100);
  table.key("weights", c.weights, "");
  table.key("words", c.words, "");
  table.key("times", c.times, "");
  table.key("leads", c.leads, "");
  table.section("part", c.part, "");
  table.section("extra", c.extra, "");
  table.list("parts", c.parts, "");
}

}  // namespace zonda::config

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zonda;
  // The last line is an override, if it looks like one.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  config::Whole value;
  try {
    config::Node document = config::parse_yaml(text, "fuzz.yaml");
    const std::size_t last = text.find_last_of('\n');
    const std::string_view line = last == std::string_view::npos ? text : text.substr(last + 1);
    if (line.find('=') != std::string_view::npos) config::apply_override(document, line);
    config::read(document, value);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) std::abort();
    return 0;
  }
  const config::Json json = config::dump(value);
  const std::string yaml = config::to_yaml(json);
  config::Whole again;
  config::read(config::parse_yaml(yaml, "full.yaml"), again);
  if (config::dump(again) != json) {
    std::fputs(yaml.c_str(), stderr);
    std::abort();
  }
  return 0;
}
