#pragma once
// What is in a file, for `zonda inspect`.
#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "ingest/sources/source.hpp"

namespace zonda::ingest {

struct InspectOptions {
  bool statistics = true;       ///< read each field for its minimum, maximum, mean and count of missing values
  std::size_t most_fields = 0;  ///< list at most so many fields; 0: all
};

/// `{source, channels: [{channel, variable, level_hpa, unit, grid, fields, first_time, last_time}], fields: [{index,
/// channel, valid_time, reference_time?, member?, accumulation_s?, minimum?, maximum?, mean?, missing?}], ignored}`.
/// The mean is the plain one over the grid points that are there. Throws what open_source and read throw.
nlohmann::json inspect_source(const std::filesystem::path& path, const NameMapping& mapping = {},
                              const InspectOptions& options = {});

/// Field `index` of source.fields() as raw little-endian float32, `[lat, lon]`, written atomically. Throws Error(data)
/// for an index that is not there.
void dump_field(const Source& source, std::size_t index, const std::filesystem::path& target);

}  // namespace zonda::ingest
