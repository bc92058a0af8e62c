#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "ingest/observations/reading_account.hpp"

namespace zonda::ingest {

/// Rows of an ODB-2 file: columns lat, lon, date, time, statid, varno, obsvalue (whatever their table),
/// and stalt, obstype, vertco_type, vertco_reference_1, obs_error or final_obs_error where they are there. Row numbers
/// in messages count from 1 over the whole file. Throws Error(data): not readable, damaged, or without one of those
/// columns.
ReadObservations read_odb(const std::filesystem::path& path);
/// The same of a file's bytes; `file` names it in messages.
ReadObservations read_odb(std::string_view bytes, const std::string& file);

}  // namespace zonda::ingest
