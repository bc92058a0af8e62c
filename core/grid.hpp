#pragma once
// Grids: where the values of a field are. A regular value type; copies share their tables.
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/map_projection.hpp"

namespace zonda {

enum class GridKind { latlon, gaussian, regional, projected };

/// Where a grid's centres lie, degrees; west > east crosses the prime meridian, 0 and 360 go around it.
struct GridExtent {
  double north = 0, south = 0, west = 0, east = 0;
};

/// Grids that are rectilinear in latitude and longitude, or in the plane of a map projection. Fields on it are `[lat,
/// lon]`, row-major; on a projected grid these are rows of equal y and columns of equal x.
/// Row 0 is the northernmost; longitude grows eastward from the first column in equal steps; longitudes are in [0,
/// 360). A regional grid may cross the prime meridian: its longitudes then read 350, 355, 0, 5.
class Grid {
 public:
  /// Global, equally spaced. With poles the first and last rows lie at +-90 (721x1440); without, rows are cell centres
  /// (720x1440).
  static Grid latlon(std::size_t nlat, std::size_t nlon, bool poles, double first_longitude = 0);
  /// Global, `nlat` Gauss-Legendre latitudes (nlat even).
  static Grid gaussian(std::size_t nlat, std::size_t nlon, double first_longitude = 0);
  /// Not periodic, equally spaced; north > south, edges are the outermost cell centres.
  static Grid regional(double north, double south, std::size_t nlat, double west, double east, std::size_t nlon);
  /// Not periodic, in the plane of a projection, metres between cells; row 0 has the largest y. Throws Error(usage)
  /// where a point of it is not on the projection's map.
  static Grid projected(const MapProjection& projection, double y_first, double y_last, std::size_t nlat,
                        double x_first, double x_last, std::size_t nlon);
  /// From the coordinates a file gives: latitudes strictly monotone (either direction), longitudes equally spaced
  /// eastward. Latitudes are turned to north first; the caller turns the data when `latitudes` ascend. Kind and
  /// periodicity are derived from the numbers. Throws Error(data) saying which coordinate is irregular.
  static Grid from_coordinates(std::span<const double> latitudes, std::span<const double> longitudes);
  /// `latlon 181x360`, `latlon 32x64 no-poles`, `gaussian 48x96`, `regional 60..25x71 350..40x101`, and the forms that
  /// to_string writes besides: a first longitude `gaussian 48x96 from 180`, a periodic band
  /// `regional 20..-20x41 0..359x360 periodic`, uneven rows `regional 68.7/65.0/61.2 300..30x25`, `projected
  /// 975000..-975000x40 -1200000..1200000x49 +proj=lcc +lat_1=35 +lat_2=65`. Throws Error(usage).
  static Grid parse(std::string_view text);

  GridKind kind() const;
  std::size_t nlat() const;
  std::size_t nlon() const;
  std::size_t size() const { return nlat() * nlon(); }
  bool periodic() const;
  bool has_poles() const;
  // Of rectilinear grids; a projected one has no rows of equal latitude and throws Error(usage).
  std::span<const double> latitudes() const;   ///< [nlat], degrees north, descending
  std::span<const double> longitudes() const;  ///< [nlon], degrees east in [0, 360)
  double longitude_step() const;               ///< degrees
  /// [nlat + 1], degrees, descending: midpoints between rows; +-90 at the ends of a global grid; half a step beyond on
  /// a regional one.
  std::span<const double> latitude_bounds() const;
  /// Area of one cell in row `row`, m2: R^2 dlon (sin upper - sin lower). Every weight, integral and remap uses it.
  double cell_area(std::size_t row) const;
  /// [nlat]: cell area / mean cell area. Weights of scores and losses.
  std::span<const double> row_weights() const;
  // Of all grids; cells are numbered row by row.
  GeographicPoint centre(std::size_t cell) const;
  double area(std::size_t cell) const;  ///< m2; on a projected grid the plane's over the squared scale
  GridExtent extent() const;
  /// Fractional row and column of a point, for interpolation between centres; those of a regional grid may lie outside
  /// of it. None: the point cannot be on the grid.
  struct Place {
    double row = 0, column = 0;
  };
  std::optional<Place> place(const GeographicPoint& point) const;
  // Of projected grids.
  const MapProjection* projection() const;  ///< nullptr: a rectilinear grid
  std::span<const double> x() const;        ///< [nlon], m, ascending
  std::span<const double> y() const;        ///< [nlat], m, descending
  /// Cosine and sine of the angle from the x axis to true east; 1 and 0 on rectilinear grids.
  double east_cosine(std::size_t cell) const;
  double east_sine(std::size_t cell) const;
  /// The text `parse` reads back to an equal grid.
  std::string to_string() const;
  /// The columns and rows of the sub-grid within an area (cell centres inside; west > east crosses the meridian).
  struct Window {
    std::size_t first_row, rows, first_column, columns;
  };
  Window window(double north, double south, double west, double east) const;
  Grid sub_grid(const Window& window) const;

  friend bool operator==(const Grid& a, const Grid& b);

 private:
  struct Tables;
  std::shared_ptr<const Tables> tables_;
  explicit Grid(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}
};

/// Gauss-Legendre nodes (sine of latitude, descending) and weights (sum 2) by Newton iteration in double.
void gauss_legendre(std::size_t n, std::vector<double>& nodes, std::vector<double>& weights);

}  // namespace zonda
