#include "assimilation/experiments/osse/station_network.hpp"

#include <fmt/format.h>

#include <cmath>

#include "core/constants.hpp"

namespace zonda::assimilation {
namespace {

constexpr double degree = constants::pi / 180;

/// The radical inverse of `index` in `base`, in [0, 1).
double halton(std::size_t index, std::size_t base) {
  double result = 0, digit = 1;
  for (; index > 0; index /= base) {
    digit /= static_cast<double>(base);
    result += digit * static_cast<double>(index % base);
  }
  return result;
}

/// A region with many stations: the density falls off as a Gaussian of these widths, in degrees.
struct Region {
  double latitude, longitude, latitude_width, longitude_width, density;
};
constexpr Region regions[] = {
    {50, 15, 12, 22, 1.0},     // Europe
    {40, 265, 13, 24, 0.8},    // North America
    {33, 110, 12, 20, 1.0},    // East Asia
    {57, 85, 10, 40, 0.5},     // Siberia
    {22, 79, 9, 10, 0.6},      // India
    {-20, 302, 16, 14, 0.3},   // South America
    {-26, 27, 10, 11, 0.3},    // southern Africa
    {8, 10, 10, 25, 0.2},      // northern Africa
    {-28, 140, 10, 16, 0.35},  // Australia
    {3, 110, 9, 18, 0.35},     // Indonesia
};
constexpr double elsewhere = 0.05;

double density(double latitude, double longitude) {
  double sum = elsewhere;
  for (const Region& region : regions) {
    const double y = (latitude - region.latitude) / region.latitude_width,
                 x = std::remainder(longitude - region.longitude, 360) / region.longitude_width;
    sum += region.density * std::exp(-(x * x + y * y) / 2);
  }
  return sum;
}

double turned(double longitude) {
  const double rest = std::fmod(longitude, 360);
  return rest < 0 ? rest + 360 : rest;
}

/// Those of the points from `first` on that `keep(i, latitude, longitude)` wants, until there are `count`.
template <typename Keep>
std::vector<Station> points_of_the_sphere(std::size_t count, std::size_t first, const std::string& prefix, Keep keep) {
  std::vector<Station> stations;
  for (std::size_t i = first + 1; stations.size() < count; ++i) {
    const double latitude = std::asin(2 * halton(i, 2) - 1) / degree, longitude = 360 * halton(i, 3);
    if (keep(i, latitude, longitude))
      stations.push_back({fmt::format("{}{:04d}", prefix, stations.size() + 1), latitude, longitude});
  }
  return stations;
}

}  // namespace

std::vector<Station> populated_network(std::size_t count, std::size_t first, const std::string& prefix) {
  return points_of_the_sphere(count, first, prefix, [](std::size_t i, double latitude, double longitude) {
    return halton(i, 5) < density(latitude, longitude);
  });
}

std::vector<Station> even_network(std::size_t count, std::size_t first, const std::string& prefix) {
  return points_of_the_sphere(count, first, prefix, [](std::size_t, double, double) { return true; });
}

std::vector<SwathPoint> orbital_swath(Time begin, Duration duration, double spacing, double half_width) {
  constexpr double period = 101.4 * 60, inclination = 98.7 * degree, day = 86400;
  const double speed = 2 * constants::pi * constants::earth_radius / period;
  const double seconds = spacing / speed;
  const auto across = static_cast<int>(half_width / spacing);
  std::vector<SwathPoint> points;
  for (double t = 0; t < static_cast<double>(duration.count()); t += seconds) {
    const double now = static_cast<double>(begin.time_since_epoch().count()) + t;
    const double along = std::fmod(2 * constants::pi * now / period, 2 * constants::pi);
    for (int side = -across; side <= across; ++side) {
      // The point at arc `along` of the orbit's great circle, then `off` to its side.
      const double off = side * spacing / constants::earth_radius;
      const double x = std::cos(off) * std::cos(along), u = std::cos(off) * std::sin(along), w = std::sin(off);
      const double y = u * std::cos(inclination) - w * std::sin(inclination),
                   z = u * std::sin(inclination) + w * std::cos(inclination);
      points.push_back({std::asin(z) / degree, turned(std::atan2(y, x) / degree - 360 * std::fmod(now, day) / day)});
    }
  }
  return points;
}

}  // namespace zonda::assimilation
