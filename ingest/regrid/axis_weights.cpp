#include "ingest/regrid/axis_weights.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::ingest {
namespace {

constexpr double degree_tolerance = 1e-6;  ///< files keep coordinates as float32
constexpr double snap = 1e-9;              ///< of a cell: a point this near another is on it

double sine(double degrees) {
  return std::sin(degrees * (constants::pi / 180.0));
}

/// Collects one target's entries, drops what is nothing, and makes the sum exactly one up to rounding.
class Builder {
 public:
  void add(std::size_t index, double weight) { entries_[static_cast<std::uint32_t>(index)] += weight; }
  void finish(AxisWeights& axis) {
    double largest = 0;
    for (const auto& [index, weight] : entries_) largest = std::max(largest, std::abs(weight));
    std::erase_if(entries_, [&](const auto& entry) { return std::abs(entry.second) <= 1e-14 * largest; });
    double sum = 0;
    for (const auto& [index, weight] : entries_) sum += weight;
    for (const auto& [index, weight] : entries_) {
      axis.index.push_back(index);
      axis.weight.push_back(weight / sum);
    }
    axis.begin.push_back(static_cast<std::uint32_t>(axis.index.size()));
    entries_.clear();
  }

 private:
  std::map<std::uint32_t, double> entries_;
};

[[noreturn]] void outside(const char* what, double value, const Grid& source, const Grid& target) {
  fail(ErrorKind::data, "regridding {} to {}: {} {:.6g} of the target lies outside the source", source.to_string(),
       target.to_string(), what, value);
}

/// One-dimensional cells with edges in the coordinate in which the area is linear: sin(latitude), or longitude.
struct Cells {
  std::vector<double> edges;  ///< ascending, n + 1
  bool periodic = false;
  std::size_t size() const { return edges.size() - 1; }
  double period() const { return edges.back() - edges.front(); }
  double low(std::ptrdiff_t k) const { return edge(k); }
  double high(std::ptrdiff_t k) const { return edge(k + 1); }
  double centre(std::ptrdiff_t k) const { return 0.5 * (low(k) + high(k)); }
  std::size_t wrapped(std::ptrdiff_t k) const {
    const auto n = static_cast<std::ptrdiff_t>(size());
    return static_cast<std::size_t>(((k % n) + n) % n);
  }

 private:
  double edge(std::ptrdiff_t k) const {
    const auto n = static_cast<std::ptrdiff_t>(size());
    const std::ptrdiff_t turns = k < 0 ? -((n - 1 - k) / n) : k / n;
    if (!periodic || turns == 0 || k == n) return edges[static_cast<std::size_t>(k)];
    return edges[static_cast<std::size_t>(k - turns * n)] + static_cast<double>(turns) * period();
  }
};

/// The mean over [a, b] of the source's cell-wise constant (linear) values. The linear part of a cell has its slope
/// from the neighbours' means and no integral, so conservation holds exactly.
void add_overlaps(const Cells& cells, double a, double b, bool linear, Builder& builder) {
  const auto n = static_cast<std::ptrdiff_t>(cells.size());
  std::ptrdiff_t k = std::upper_bound(cells.edges.begin(), cells.edges.end(), a) - cells.edges.begin() - 1;
  k = std::clamp<std::ptrdiff_t>(k, 0, n - 1);
  for (; (cells.periodic || k < n) && cells.low(k) < b; ++k) {
    const double from = std::max(a, cells.low(k)), to = std::min(b, cells.high(k));
    if (to - from <= 1e-12 * (cells.high(k) - cells.low(k))) continue;  // rounding, no overlap
    const double part = (to - from) / (b - a);
    builder.add(cells.wrapped(k), part);
    if (!linear) continue;
    const std::ptrdiff_t before = cells.periodic || k > 0 ? k - 1 : k;
    const std::ptrdiff_t after = cells.periodic || k < n - 1 ? k + 1 : k;
    if (before == after) continue;
    const double moment = part * (0.5 * (from + to) - cells.centre(k)) / (cells.centre(after) - cells.centre(before));
    builder.add(cells.wrapped(after), moment);
    builder.add(cells.wrapped(before), -moment);
  }
}

/// Row index in ascending order of latitude -> north first.
AxisWeights mirrored(const AxisWeights& ascending, std::size_t source_rows) {
  AxisWeights axis;
  for (std::size_t i = ascending.targets(); i-- > 0;) {
    for (std::uint32_t k = ascending.begin[i + 1]; k-- > ascending.begin[i];) {
      axis.index.push_back(static_cast<std::uint32_t>(source_rows - 1) - ascending.index[k]);
      axis.weight.push_back(ascending.weight[k]);
    }
    axis.begin.push_back(static_cast<std::uint32_t>(axis.index.size()));
  }
  return axis;
}

AxisWeights conservative_rows(const Grid& source, const Grid& target, bool linear) {
  const auto source_bounds = source.latitude_bounds(), target_bounds = target.latitude_bounds();
  Cells cells;
  for (std::size_t i = source_bounds.size(); i-- > 0;) cells.edges.push_back(sine(source_bounds[i]));
  AxisWeights ascending;
  Builder builder;
  for (std::size_t i = target.nlat(); i-- > 0;) {
    if (target_bounds[i] > source_bounds.front() + degree_tolerance) {
      outside("the cell bound at latitude", target_bounds[i], source, target);
    }
    if (target_bounds[i + 1] < source_bounds.back() - degree_tolerance) {
      outside("the cell bound at latitude", target_bounds[i + 1], source, target);
    }
    const double a = std::max(sine(target_bounds[i + 1]), cells.edges.front());
    const double b = std::min(sine(target_bounds[i]), cells.edges.back());
    add_overlaps(cells, a, b, linear, builder);
    builder.finish(ascending);
  }
  return mirrored(ascending, source.nlat());
}

AxisWeights conservative_columns(const Grid& source, const Grid& target, bool linear) {
  const double step = source.longitude_step(), width = target.longitude_step();
  const auto n = static_cast<double>(source.nlon());
  // In units of source columns from the western edge of the first: edges are then whole numbers.
  Cells cells;
  cells.periodic = source.periodic();
  for (std::size_t k = 0; k <= source.nlon(); ++k) cells.edges.push_back(static_cast<double>(k));
  AxisWeights axis;
  Builder builder;
  const double tolerance = degree_tolerance / step;
  for (const double longitude : target.longitudes()) {
    double a = std::fmod(longitude - 0.5 * width - (source.longitudes()[0] - 0.5 * step) + 720.0, 360.0) / step;
    if (std::abs(a - std::round(a)) < snap) a = std::round(a);
    if (a > 360.0 / step - tolerance) a -= 360.0 / step;
    if (cells.periodic) {
      if (a < 0) a = std::max(0.0, a);
      add_overlaps(cells, a, a + width / step, linear, builder);
    } else {
      const double b = a + width / step;
      if (a < -tolerance || b > n + tolerance) outside("the cell at longitude", longitude, source, target);
      add_overlaps(cells, std::max(a, 0.0), std::min(b, n), linear, builder);
    }
    builder.finish(axis);
  }
  return axis;
}

AxisWeights point_rows(const Grid& source, const Grid& target, RegridMethod method) {
  const auto rows = source.latitudes();
  const std::size_t n = rows.size();
  const auto bounds = source.latitude_bounds();
  const bool reaches_north = source.periodic() && bounds.front() > 90 - degree_tolerance;
  const bool reaches_south = source.periodic() && bounds.back() < -90 + degree_tolerance;
  AxisWeights axis;
  Builder builder;
  for (const double latitude : target.latitudes()) {
    // The first row south of the point, or on it.
    const auto below = static_cast<std::size_t>(
        std::lower_bound(rows.begin(), rows.end(), latitude, [](double row, double x) { return row > x; }) -
        rows.begin());
    if (method == RegridMethod::nearest) {
      if (latitude > bounds.front() + degree_tolerance || latitude < bounds.back() - degree_tolerance) {
        outside("latitude", latitude, source, target);
      }
      const bool upper = below == n || (below > 0 && rows[below - 1] - latitude <= latitude - rows[below]);
      builder.add(upper ? below - 1 : below, 1.0);
    } else if (below > 0 && below < n) {
      double fraction = (latitude - rows[below]) / (rows[below - 1] - rows[below]);
      if (fraction < snap) fraction = 0;
      if (fraction > 1 - snap) fraction = 1;
      builder.add(below - 1, fraction);
      builder.add(below, 1 - fraction);
    } else {
      const bool north = below == 0;
      const double row = north ? rows.front() : rows.back(), pole = north ? 90.0 : -90.0;
      const std::size_t nearest = north ? 0 : n - 1;
      if (std::abs(latitude - row) <= degree_tolerance) {
        builder.add(nearest, 1.0);
      } else if (north ? reaches_north : reaches_south) {
        const double fraction = (latitude - row) / (pole - row);
        builder.add(north ? n : n + 1, fraction);
        builder.add(nearest, 1 - fraction);
      } else {
        outside("latitude", latitude, source, target);
      }
    }
    builder.finish(axis);
  }
  return axis;
}

AxisWeights point_columns(const Grid& source, const Grid& target, RegridMethod method) {
  const double step = source.longitude_step();
  const auto n = static_cast<double>(source.nlon());
  const double tolerance = degree_tolerance / step;
  const double margin = method == RegridMethod::nearest ? 0.5 + tolerance : tolerance;
  AxisWeights axis;
  Builder builder;
  for (const double longitude : target.longitudes()) {
    double x = std::fmod(longitude - source.longitudes()[0] + 720.0, 360.0) / step;
    if (x > 360.0 / step - margin) x -= 360.0 / step;
    if (!source.periodic()) {
      if (x > n - 1 + margin) outside("longitude", longitude, source, target);
      x = std::clamp(x, 0.0, n - 1);
    }
    if (std::abs(x - std::round(x)) < snap) x = std::round(x);
    const auto column = [&](double k) { return static_cast<std::size_t>(k - n * std::floor(k / n)); };
    if (method == RegridMethod::nearest) {
      builder.add(column(std::floor(x + 0.5)), 1.0);
    } else {
      const double west = std::floor(x), fraction = x - west;
      if (fraction < 1) builder.add(column(west), 1 - fraction);
      if (fraction > 0) builder.add(column(west + 1), fraction);
    }
    builder.finish(axis);
  }
  return axis;
}

}  // namespace

AxisWeights row_weights(const Grid& source, const Grid& target, RegridMethod method) {
  switch (method) {
    case RegridMethod::conservative:
      return conservative_rows(source, target, false);
    case RegridMethod::conservative2:
      return conservative_rows(source, target, true);
    default:
      return point_rows(source, target, method);
  }
}

AxisWeights column_weights(const Grid& source, const Grid& target, RegridMethod method) {
  switch (method) {
    case RegridMethod::conservative:
      return conservative_columns(source, target, false);
    case RegridMethod::conservative2:
      return conservative_columns(source, target, true);
    default:
      return point_columns(source, target, method);
  }
}

}  // namespace zonda::ingest
