#pragma once
// What a Grid knows; seen by its sources only.
#include <optional>

#include "core/grid.hpp"

namespace zonda {

struct Grid::Tables {
  GridKind kind;
  bool periodic, poles;
  double first_longitude, step;
  std::vector<double> latitudes, longitudes, bounds, weights, areas;
  std::optional<MapProjection> projection{};
  std::vector<double> x{}, y{};  // of a projected grid, whose tables are of cells:
  std::vector<double> cell_latitudes{}, cell_longitudes{}, cell_areas{}, east_cosines{}, east_sines{};
};

/// Degrees in [0, 360).
double wrapped_longitude(double longitude);
/// [row + 1] of a regional grid, degrees: midpoints between rows; a grid of one row is as high as a column is wide.
std::vector<double> regional_bounds(const std::vector<double>& latitudes, double fallback_step);
/// Longitudes, areas and weights, which follow from the rows' bounds and the columns.
void derive_grid(std::vector<double>& longitudes, double first, double step, std::size_t nlon,
                 const std::vector<double>& bounds, std::vector<double>& areas, std::vector<double>& weights);
/// Throws Error(usage) unless both are 2 to 100000.
void check_grid_size(std::size_t nlat, std::size_t nlon);
/// Throws Error(usage): rows of equal latitude are asked of a projected grid.
[[noreturn]] void refuse_projected(const Grid& grid);

}  // namespace zonda
