#include "ingest/forcing/forcing.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "ingest/forcing/solar_position.hpp"

namespace zonda::ingest {
namespace {

constexpr double radian = constants::pi / 180.0;

/// A slab of rows of one forcing.
struct Slab {
  const Grid& grid;
  Time time;
  std::size_t row_begin, row_end;
  std::span<float> out;  ///< [row_end - row_begin, lon]
};

/// S0 / r^2 max(0, cos zenith), cos zenith = sin lat sin dec + cos lat cos dec cos(hour angle).
void insolation(const Slab& slab) {
  const SolarPosition sun = solar_position(slab.time);
  const double strength = constants::solar_constant / (sun.distance * sun.distance);
  const double noon = greenwich_hour_angle(slab.time);
  auto value = slab.out.begin();
  if (slab.grid.projection()) {
    for (std::size_t cell = slab.row_begin * slab.grid.nlon(); cell < slab.row_end * slab.grid.nlon(); ++cell) {
      const GeographicPoint at = slab.grid.centre(cell);
      const double latitude = at.latitude * radian;
      *value++ = static_cast<float>(std::max(
          0.0, strength * (std::sin(latitude) * std::sin(sun.declination) +
                           std::cos(latitude) * std::cos(sun.declination) * std::cos(noon + at.longitude * radian))));
    }
    return;
  }
  std::vector<double> hour_cosine;
  for (const double longitude : slab.grid.longitudes()) hour_cosine.push_back(std::cos(noon + longitude * radian));
  for (std::size_t i = slab.row_begin; i < slab.row_end; ++i) {
    const double latitude = slab.grid.latitudes()[i] * radian;
    const double constant = strength * std::sin(latitude) * std::sin(sun.declination);
    const double daily = strength * std::cos(latitude) * std::cos(sun.declination);
    for (const double cosine : hour_cosine) *value++ = static_cast<float>(std::max(0.0, constant + daily * cosine));
  }
}

void cos_day_of_year(const Slab& slab) {
  std::fill(slab.out.begin(), slab.out.end(),
            static_cast<float>(std::cos(2 * constants::pi * year_fraction(slab.time))));
}

void sin_day_of_year(const Slab& slab) {
  std::fill(slab.out.begin(), slab.out.end(),
            static_cast<float>(std::sin(2 * constants::pi * year_fraction(slab.time))));
}

template <class Function>
void of_local_time(const Slab& slab, Function function) {
  const double greenwich = 2 * constants::pi * second_of_day(slab.time) / 86400.0;
  auto value = slab.out.begin();
  for (std::size_t cell = slab.row_begin * slab.grid.nlon(); cell < slab.row_end * slab.grid.nlon(); ++cell)
    *value++ = static_cast<float>(function(greenwich + slab.grid.centre(cell).longitude * radian));
}

void cos_local_time(const Slab& slab) {
  of_local_time(slab, [](double angle) { return std::cos(angle); });
}

void sin_local_time(const Slab& slab) {
  of_local_time(slab, [](double angle) { return std::sin(angle); });
}

struct Known {
  const char* name;
  void (*compute)(const Slab&);
};

constexpr std::array<Known, 5> table{{{"insolation", insolation},
                                      {"cos_day_of_year", cos_day_of_year},
                                      {"sin_day_of_year", sin_day_of_year},
                                      {"cos_local_time", cos_local_time},
                                      {"sin_local_time", sin_local_time}}};

const Known& find(const std::string& name) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Known& known) { return known.name == name; });
  if (found == table.end()) throw Error(ErrorKind::usage, unknown_word("forcing", name, forcing_names()));
  return *found;
}

}  // namespace

std::span<const std::string> forcing_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Known& known : table) list.emplace_back(known.name);
    return list;
  }();
  return names;
}

void check_forcings(std::span<const std::string> names) {
  for (const std::string& name : names) find(name);
}

void compute_forcing(const Grid& grid, Time time, std::span<const std::string> names, std::span<float> out) {
  compute_forcing(grid, time, names, 0, grid.nlat(), out);
}

void compute_forcing(const Grid& grid, Time time, std::span<const std::string> names, std::size_t row_begin,
                     std::size_t row_end, std::span<float> out) {
  if (row_begin > row_end || row_end > grid.nlat()) {
    fail(ErrorKind::failure, "forcings of rows {} to {} of a grid of {} rows", row_begin, row_end, grid.nlat());
  }
  const std::size_t size = (row_end - row_begin) * grid.nlon();
  if (out.size() != names.size() * size) {
    fail(ErrorKind::failure, "{} forcings of {} points do not fit into {} values", names.size(), size, out.size());
  }
  for (std::size_t n = 0; n < names.size(); ++n) {
    find(names[n]).compute({grid, time, row_begin, row_end, out.subspan(n * size, size)});
  }
}

}  // namespace zonda::ingest
