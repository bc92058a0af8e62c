#pragma once
// Which times the archive shall hold, and whether the sources have them all.
#include <vector>

#include "ingest/pipeline/field_catalogue.hpp"
#include "ingest/pipeline/ingest.hpp"

namespace zonda::ingest {

/// Start, end and step from the configuration, else from the sources' times of the first channel. Throws Error(usage)
/// where they contradict each other, Error(data) where the sources hold nothing.
TimeAxis time_axis(const IngestConfig& config, const FieldCatalogue& catalogue, const std::vector<Channel>& channels);

/// The period of accumulated variables.
Duration accumulation_of(const IngestConfig& config, const TimeAxis& axis);

/// Every channel at every time of `axis` from `from` on, and every static. Returns the recipes of the first time,
/// channels then statics. Throws Error(data): the first few that are missing, and how many.
std::vector<FieldRecipe> require_coverage(const IngestConfig& config, const FieldCatalogue& catalogue,
                                          const std::vector<Channel>& channels, const std::vector<Channel>& statics,
                                          const TimeAxis& axis, Time from);

/// Units of about `unit_bytes` over times [first, end); see IngestConfig::unit_bytes.
std::vector<PlannedUnit> cut_into_units(const std::vector<Time>& times, std::size_t first, std::uint64_t bytes_of_time,
                                        std::uint64_t unit_bytes);

}  // namespace zonda::ingest
