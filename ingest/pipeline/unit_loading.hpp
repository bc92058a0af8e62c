#pragma once
// Units and static fields that are still to be loaded, one by one.
#include <filesystem>
#include <functional>
#include <vector>

#include "ingest/archive/static_file.hpp"
#include "ingest/pipeline/plan_file.hpp"
#include "ingest/pipeline/time_loader.hpp"

namespace zonda::ingest {

/// Whether the journal says that the unit is there, made with this configuration and for these times.
bool unit_is_done(const PlanFile& file, const std::vector<Time>& times, const PlannedUnit& unit,
                  const std::filesystem::path& archive);
/// Loads one unit: its file, index, moments, and last its journal entry. `tick` is called after each time. Throws what
/// TimeLoader and UnitWriter throw, and Interrupted when a stop was asked for; then nothing of the unit stays.
void load_unit(const PlanFile& file, const std::vector<Time>& times, const PlannedUnit& unit, const TimeLoader& loader,
               const std::filesystem::path& archive, const std::function<void()>& tick);
/// Removes leftovers of a killed run that bear this unit's names.
void remove_stale_files(const std::filesystem::path& archive, const PlannedUnit& unit);

/// The record of `static.h5` in the journal, or nothing if it has to be written.
std::optional<StaticFile> read_static_journal(const PlanFile& file, const std::filesystem::path& archive);
void load_statics(const PlanFile& file, const TimeLoader& loader, const std::filesystem::path& archive);

/// [channel] the fill value as the archive holds it, after bit-rounding.
std::vector<std::optional<float>> stored_fill(const IngestConfig& config, const ArchiveLayout& layout);

}  // namespace zonda::ingest
