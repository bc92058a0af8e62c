#include "assimilation/cycling/cycle_table.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"

namespace zonda::assimilation {

using Json = nlohmann::ordered_json;

namespace {

std::string account(const Json& counts) {
  std::string text =
      fmt::format("{} read, {} used", counts["read"].get<std::uint64_t>(), counts["used"].get<std::uint64_t>());
  for (const auto& [reason, count] : counts["rejected"].items())
    text += fmt::format(", {} {}", reason, count.get<std::uint64_t>());
  return text;
}

}  // namespace

std::string cycle_table(const std::filesystem::path& directory, bool json) {
  Json index = Json::parse(read_file(directory / "assimilation.json"));
  std::string text = fmt::format("{:14} {:8} {:>11} {:>11} {:>11} {:>13} {:>9}\n", "analysis", "channel", "background",
                                 "analysis", "spread", "spread/error", "signal");
  std::string observations;
  for (Json& analysis : index["analyses"]) {
    const std::string name = analysis["name"];
    const Json summary = Json::parse(read_file(directory / name / "summary.json"));
    double signal = 0;
    for (const Json& departure : summary["departures"]) signal += departure["signal"].get<double>();
    const double cycles = std::max(1.0, summary["scored_cycles"].get<double>());
    for (const auto& [channel, score] : summary["analysis"].items()) {
      const auto number = [](const Json& from, const char* key) {
        return from.contains(key) ? fmt::format("{:.4g}", from[key].get<double>()) : std::string("-");
      };
      text += fmt::format("{:14} {:8} {:>11} {:>11} {:>11} {:>13} {:>9.1f}\n", name, channel,
                          number(summary["background"][channel], "error"), number(score, "error"),
                          number(score, "spread"), number(score, "spread_error"), signal / cycles);
    }
    const Json& observed = summary["observations"];
    for (const auto& [what, counts] : {std::pair{"reports", observed["reports"]}, {"values", observed}})
      if (counts["read"].get<std::uint64_t>() > 0)
        observations += fmt::format("{}: {} {}\n", name, what, account(counts));
    analysis["summary"] = summary;
  }
  return json ? index.dump(1) : text + observations;
}

}  // namespace zonda::assimilation
