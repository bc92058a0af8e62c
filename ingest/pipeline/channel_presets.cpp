#include "ingest/pipeline/channel_presets.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace zonda::ingest {
namespace {

std::vector<Channel> surface_then_levels(const std::vector<std::string>& surface, const std::vector<int>& levels) {
  std::vector<Channel> channels;
  for (const std::string& name : surface) channels.push_back({name, 0});
  for (const char* name : {"z", "q", "u", "v", "t"}) {
    for (const int level : levels) channels.push_back({name, level});
  }
  return channels;
}

}  // namespace

std::vector<Channel> channel_preset(const std::string& name) {
  std::vector<int> levels{50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000};
  if (name == "fengwu") return surface_then_levels({"10u", "10v", "2t", "msl"}, levels);
  if (name == "fengwu-ghr") {
    std::reverse(levels.begin(), levels.end());
    return surface_then_levels({"10v", "10u", "100v", "100u", "2t", "tcc", "sp", "tp", "msl"}, levels);
  }
  throw Error(ErrorKind::usage, unknown_word("preset of channels", name, channel_preset_names()));
}

std::vector<std::string> channel_preset_names() {
  return {"fengwu", "fengwu-ghr"};
}

}  // namespace zonda::ingest
