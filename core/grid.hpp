#pragma once
// Grids: where the values of a field are. A regular value type; copies share their tables.
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zonda {

enum class GridKind { latlon, gaussian, regional };

/// Rectilinear grids in latitude and longitude. Fields on it are `[lat, lon]`, row-major.
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
  /// From the coordinates a file gives: latitudes strictly monotone (either direction), longitudes equally spaced
  /// eastward. Latitudes are turned to north first; the caller turns the data when `latitudes` ascend. Kind and
  /// periodicity are derived from the numbers. Throws Error(data) saying which coordinate is irregular.
  static Grid from_coordinates(std::span<const double> latitudes, std::span<const double> longitudes);
  /// `latlon 181x360`, `latlon 32x64 no-poles`, `gaussian 48x96`, `regional 60..25x71 350..40x101`, and the forms that
  /// to_string writes besides: a first longitude `gaussian 48x96 from 180`, a periodic band
  /// `regional 20..-20x41 0..359x360 periodic`, uneven rows `regional 68.7/65.0/61.2 300..30x25`. Throws Error(usage).
  static Grid parse(std::string_view text);

  GridKind kind() const;
  std::size_t nlat() const;
  std::size_t nlon() const;
  std::size_t size() const { return nlat() * nlon(); }
  bool periodic() const;
  bool has_poles() const;
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
