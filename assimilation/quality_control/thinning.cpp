#include "assimilation/quality_control/thinning.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <vector>

#include "core/constants.hpp"

namespace zonda::assimilation {
namespace {

using ingest::ObservationTable;
using ingest::QualityFlag;
using ingest::ReportKind;

using BoxKey = std::tuple<int, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

struct Place {
  BoxKey box;
  double off_centre;  ///< squared, in box lengths
};

Place place_of(const ObservationTable& table, std::size_t i, const ThinningBoxes& boxes) {
  const double degrees = boxes.spacing / constants::earth_radius * 180 / constants::pi;
  const double rows = std::max(1.0, std::round(180 / degrees)), height = 180 / rows;
  const double row = std::min(std::floor((90 - table.latitude[i]) / height), rows - 1);
  const double middle = 90 - (row + 0.5) * height;
  const double columns = std::max(1.0, std::round(360 * std::cos(middle * constants::pi / 180) / height));
  const double width = 360 / columns, column = std::min(std::floor(table.longitude[i] / width), columns - 1);
  const double up = table.pressure[i] > 0 ? std::log(table.pressure[i]) / boxes.depth : 0.5;
  const double late = static_cast<double>(table.time[i].time_since_epoch().count()) / boxes.duration;
  const double dy = (table.latitude[i] - middle) / height, dx = (table.longitude[i] - (column + 0.5) * width) / width;
  const double dp = up - std::floor(up) - 0.5, dt = late - std::floor(late) - 0.5;
  return {{table.variable[i], static_cast<std::int64_t>(row), static_cast<std::int64_t>(column),
           static_cast<std::int64_t>(std::floor(up)), static_cast<std::int64_t>(std::floor(late))},
          dx * dx + dy * dy + dp * dp + dt * dt};
}

/// Entries of each box, the one nearest to the centre first.
std::vector<std::vector<std::size_t>> fill_boxes(const ObservationTable& table, ReportKind kind,
                                                 const ThinningBoxes& boxes) {
  std::map<BoxKey, std::vector<std::pair<double, std::size_t>>> filled;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!table.accepted(i) || table.kind[i] != kind) continue;
    const Place place = place_of(table, i, boxes);
    filled[place.box].emplace_back(place.off_centre, i);
  }
  std::vector<std::vector<std::size_t>> lists;
  for (auto& [key, entries] : filled) {
    std::sort(entries.begin(), entries.end());
    std::vector<std::size_t>& list = lists.emplace_back();
    for (const auto& [off, i] : entries) list.push_back(i);
  }
  return lists;
}

}  // namespace

void thin(ObservationTable& table, ReportKind kind, const ThinningBoxes& boxes) {
  for (const auto& entries : fill_boxes(table, kind, boxes))
    for (std::size_t k = 1; k < entries.size(); ++k) table.reject(entries[k], QualityFlag::thinned);
}

void superob(ObservationTable& table, ReportKind kind, const ThinningBoxes& boxes, double common) {
  for (std::vector<std::size_t>& entries : fill_boxes(table, kind, boxes)) {
    const std::size_t kept = entries.front();
    std::sort(entries.begin(), entries.end());
    const auto n = static_cast<double>(entries.size());
    const auto mean = [&](auto value_of) {
      double sum = 0;
      for (const std::size_t i : entries) sum += value_of(i);
      return sum / n;
    };
    const bool departures =
        std::all_of(entries.begin(), entries.end(), [&](std::size_t i) { return std::isfinite(table.background[i]); });
    const double value = mean([&](std::size_t i) { return table.value[i]; });
    const double background = mean([&](std::size_t i) { return table.background[i]; });
    const double variance = mean([&](std::size_t i) { return table.error[i] * table.error[i]; }) / n;
    // Boxes do not cross the prime meridian: longitudes can be averaged as they are.
    const double latitude = mean([&](std::size_t i) { return table.latitude[i]; });
    const double longitude = mean([&](std::size_t i) { return table.longitude[i]; });
    const double log_pressure = mean([&](std::size_t i) { return std::log(table.pressure[i]); });
    const double seconds =
        mean([&](std::size_t i) { return static_cast<double>((table.time[i] - table.time[kept]).count()); });
    table.value[kept] = value;
    if (departures) table.background[kept] = background;
    table.latitude[kept] = latitude;
    table.longitude[kept] = longitude;
    if (std::isfinite(log_pressure)) table.pressure[kept] = std::exp(log_pressure);
    table.time[kept] += Duration(std::llround(seconds));
    if (entries.size() > 1) table.error[kept] = std::hypot(std::sqrt(variance), common);
    for (const std::size_t i : entries)
      if (i != kept) table.reject(i, QualityFlag::thinned);
  }
}

}  // namespace zonda::assimilation
