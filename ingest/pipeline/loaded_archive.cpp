#include "ingest/pipeline/loaded_archive.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/provenance.hpp"
#include "ingest/pipeline/unit_loading.hpp"

namespace zonda::ingest {

namespace fs = std::filesystem;

LoadedArchive loaded_archive(const fs::path& archive) {
  std::optional<PlanFile> file = read_plan(archive);
  if (!file) fail(ErrorKind::data, "{}: there is no archive here: {} is missing", archive.string(), kPlanName);
  const std::vector<Time> times = file->plan.axis.times();
  const std::string configuration = unit_configuration(*file);
  std::vector<JournalEntry> journal;
  std::vector<UnitRecord> units;
  std::string missing;
  std::size_t count = 0;
  for (const PlannedUnit& unit : file->plan.units) {
    std::optional<JournalEntry> entry = read_journal(archive, unit.file);
    const auto first = times.begin() + static_cast<std::ptrdiff_t>(unit.first);
    if (!entry || entry->configuration != configuration || entry->times.size() != unit.count ||
        !std::equal(entry->times.begin(), entry->times.end(), first)) {
      if (count++ < 5) missing += (missing.empty() ? "" : ", ") + unit.file;
      continue;
    }
    units.push_back({unit.file, unit.first, unit.count, entry->files});
    journal.push_back(std::move(*entry));
  }
  if (count > 0) {
    fail(ErrorKind::data, "{}: {} of {} units are not loaded: {}{}", archive.string(), count, file->plan.units.size(),
         missing, count > 5 ? ", ..." : "");
  }
  const std::optional<StaticFile> statics = read_static_journal(*file, archive);
  if (!statics) fail(ErrorKind::data, "{}: the static fields are not loaded", archive.string());
  const nlohmann::ordered_json provenance{
      {"code", code_version()}, {"sources", file->plan.sources}, {"configuration", file->configuration}};
  Manifest manifest{file->plan.layout, file->plan.axis,
                    std::move(units),  statics->records,
                    statics->crc32c,   {},
                    provenance.dump(), ""};
  return {std::move(*file), std::move(manifest), std::move(journal)};
}

const Moments* MomentsOfUnits::at(std::size_t time_index) {
  const std::vector<UnitRecord>& units = loaded_.manifest.units;
  const auto holds = [&](const UnitRecord& u) { return time_index >= u.first && time_index < u.first + u.count; };
  const std::size_t channels = loaded_.manifest.layout.channels.size();
  if (moments_.empty() || !holds(units[unit_])) {
    const auto after = std::upper_bound(units.begin(), units.end(), time_index,
                                        [](std::size_t t, const UnitRecord& u) { return t < u.first; });
    unit_ = static_cast<std::size_t>(after - units.begin()) - 1;
    moments_ = read_moments(moments_path(archive_, units[unit_].file), units[unit_].count, channels,
                            loaded_.journal[unit_].moments_crc32c);
  }
  return moments_.data() + (time_index - units[unit_].first) * channels;
}

}  // namespace zonda::ingest
