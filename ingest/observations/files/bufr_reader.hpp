#pragma once
#include <string_view>

#include "ingest/observations/reading_account.hpp"

namespace zonda::ingest {

/// Reports of BUFR messages: surface stations and ships (data categories 0, 1), soundings (2), aircraft (4). Wind
/// becomes eastward and northward components, dew points aloft specific humidity (over water), altitudes of aircraft
/// pressure by the standard atmosphere. A report counts as used where it gives at least one value; a message that
/// cannot be decoded counts with all its subsets where they are known, else as one. `file` names the bytes in messages.
/// Throws Error(data) where no BUFR message is in the bytes.
ReadObservations read_bufr(std::string_view bytes, const std::string& file);

}  // namespace zonda::ingest
