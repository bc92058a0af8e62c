#include "ingest/observations/files/ioda_names.hpp"

#include <array>
#include <utility>

namespace zonda::ingest {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

/// JEDI's convention tables (ObsSpace names), where they have the variable.
constexpr std::array pairs{Pair{"t", "airTemperature"},         Pair{"u", "windEastward"},
                           Pair{"v", "windNorthward"},          Pair{"q", "specificHumidity"},
                           Pair{"r", "relativeHumidity"},       Pair{"z", "geopotential"},
                           Pair{"sp", "stationPressure"},       Pair{"msl", "pressureReducedToMeanSeaLevel"},
                           Pair{"2t", "airTemperatureAt2M"},    Pair{"2d", "dewPointTemperatureAt2M"},
                           Pair{"10u", "windEastwardAt10M"},    Pair{"10v", "windNorthwardAt10M"},
                           Pair{"sst", "seaSurfaceTemperature"}};

}  // namespace

std::string ioda_from_short(std::string_view short_name) {
  for (const auto& [own, ioda] : pairs)
    if (own == short_name) return std::string(ioda);
  return std::string(short_name);
}

std::string short_from_ioda(std::string_view ioda_name) {
  for (const auto& [own, ioda] : pairs)
    if (ioda == ioda_name) return std::string(own);
  return std::string(ioda_name);
}

}  // namespace zonda::ingest
