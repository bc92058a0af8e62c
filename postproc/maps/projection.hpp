#pragma once
// Map projections of pictures (Snyder 1987, "Map projections - a working manual").
#include <memory>
#include <optional>
#include <string>

#include "core/grid.hpp"
#include "postproc/maps/canvas.hpp"
#include "postproc/maps/coastlines.hpp"

namespace zonda::postproc {

struct ProjectionOptions {
  /// lat-lon, orthographic, north-polar, south-polar
  std::string name = "lat-lon";
  double centre_latitude = 45, centre_longitude = 0;
  double edge_latitude = 20;  ///< polar maps reach to this latitude (north or south)
};

/// Maps the globe, or a part of it, onto the unit square, y downward.
class Projection {
 public:
  virtual ~Projection() = default;
  /// Width over height.
  virtual double aspect() const = 0;
  /// Nothing where the place is not on the map.
  virtual std::optional<Point> forward(double latitude, double longitude) const = 0;
  virtual std::optional<GeoPoint> inverse(Point point) const = 0;
  virtual bool round() const { return false; }  ///< the map is the circle in the square
};

/// Throws Error(usage) with the names it knows. lat-lon covers the grid: the globe from 180 W to 180 E, or the grid's
/// own area.
std::unique_ptr<Projection> make_projection(const ProjectionOptions& options, const Grid& grid);

}  // namespace zonda::postproc
