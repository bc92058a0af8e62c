// Any bytes as signed metadata, as a release, as rules and as a station's report: refused with Error(data), or read;
// what was read comes back the same from its own text.
#include <cstdlib>

#include "core/error.hpp"
#include "inference/edge/catalogue/assignment_rules.hpp"
#include "inference/edge/catalogue/published_release.hpp"
#include "inference/edge/catalogue/station_report.hpp"
#include "inference/edge/trust/canonical_json.hpp"
#include "inference/edge/trust/metadata.hpp"

namespace {

template <class Read>
void refused_or(Read&& read) {
  try {
    read();
  } catch (const zonda::Error& error) {
    if (error.kind() != zonda::ErrorKind::data) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zonda::edge;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  refused_or([&] {
    const SignedMetadata metadata = SignedMetadata::parse(text, "fuzz.json");
    const auto again = [&](auto&& read) {
      refused_or([&] {
        const auto value = read(metadata);
        const SignedMetadata written{to_json(value), {}, "again.json"};
        if (to_json(read(written)) != written.content) std::abort();
      });
    };
    again(root_of);
    again(timestamp_of);
    again(snapshot_of);
    again(targets_of);
    refused_or(
        [&] { metadata.require_signatures(root_of(metadata).keys, root_of(metadata).roles.at("root"), "root"); });
  });
  refused_or([&] {
    const AssignmentRules rules = AssignmentRules::parse(text);
    rules.assigned({"station", "europe", {"x86-64"}});
    if (AssignmentRules::parse(rules.to_json().dump()).to_json() != rules.to_json()) std::abort();
  });
  refused_or([&] { PublishedRelease::parse(text, "a", "1").require_hardware({}); });
  refused_or([&] { StationReport::parse(text); });
  return 0;
}
