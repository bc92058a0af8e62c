#pragma once
#include <string>
#include <string_view>

namespace zonda::ingest {

/// IODA's name by short name and back; a name that is not in the table stands for itself.
std::string ioda_from_short(std::string_view short_name);
std::string short_from_ioda(std::string_view ioda_name);

}  // namespace zonda::ingest
