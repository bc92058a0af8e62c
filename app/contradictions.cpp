#include "app/contradictions.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace zonda::app {
namespace {

using Limit = std::optional<Time>;

/// The complaint if the time `key` lies outside what the section `ingest` puts into the archive; "" if not, or unknown.
std::string outside_archive(const std::string& key, const Limit& time,
                            const std::optional<ingest::IngestConfig>& ingest) {
  if (!time || !ingest) return "";
  if (ingest->start && *time < *ingest->start)
    return fmt::format("{} {} is before the archive's, ingest.start {}", key, to_string(*time),
                       to_string(*ingest->start));
  if (ingest->end && *time > *ingest->end)
    return fmt::format("{} {} is after the archive's, ingest.end {}", key, to_string(*time), to_string(*ingest->end));
  return "";
}

/// The first complaint that is none.
std::string first_of(std::initializer_list<std::string> complaints) {
  const auto found = std::find_if(complaints.begin(), complaints.end(), [](const auto& text) { return !text.empty(); });
  return found == complaints.end() ? "" : *found;
}

std::string train_contradiction(const Sections& s) {
  if (!s.train) return "";
  const std::string period =
      first_of({outside_archive("start", s.train->start, s.ingest), outside_archive("end", s.train->end, s.ingest),
                outside_archive("validation.start", s.train->validation.start, s.ingest),
                outside_archive("validation.end", s.train->validation.end, s.ingest)});
  if (!period.empty()) return period;
  if (!s.ingest || !s.ingest->step) return "";
  for (const Duration step : s.train->steps_between)
    if (step % *s.ingest->step != Duration{0})
      return fmt::format("between: {} is no multiple of the archive's step, ingest.step {}", to_string(step),
                         to_string(*s.ingest->step));
  return "";
}

std::string forecast_contradiction(const Sections& s) {
  // Initial states from files of their own may be of any time.
  if (!s.forecast || s.forecast->source) return "";
  std::string complaint = first_of(
      {outside_archive("start", s.forecast->start, s.ingest), outside_archive("end", s.forecast->end, s.ingest)});
  for (const Time time : s.forecast->times)
    complaint = first_of({complaint, outside_archive("times:", time, s.ingest)});
  return complaint;
}

}  // namespace

void check_contradictions(config::Table& table, const Sections& sections) {
  table.check("train", [&sections] { return train_contradiction(sections); });
  table.check("forecast", [&sections] { return forecast_contradiction(sections); });
}

}  // namespace zonda::app
