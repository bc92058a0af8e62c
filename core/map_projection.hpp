#pragma once
// Map projections of the sphere whose axes cross at right angles everywhere, so that a vector is turned by one angle:
// conformal ones, and the latitudes and longitudes of a rotated pole. In closed form (Snyder 1987, USGS Professional
// Paper 1395), written as PROJ writes them.
#include <string>
#include <string_view>
#include <vector>

namespace zonda {

struct GeographicPoint {
  double latitude = 0, longitude = 0;  ///< degrees north; degrees east in [0, 360)
};

struct PlanePoint {
  double x = 0, y = 0;  ///< m, growing eastward and northward at the centre
};

/// A regular value type.
class MapProjection {
 public:
  /// `+proj=lcc +lat_1=35 +lat_2=65 +lat_0=50 +lon_0=10`; also stere (with lat_ts where polar), merc and tmerc; x_0,
  /// y_0, k_0 and R or equal a and b (default: the model's sphere) as in PROJ. A rotated pole at 39.25 N, 162 W:
  /// `+proj=ob_tran +o_proj=eqc +o_lat_p=39.25 +lon_0=18` (and o_lon_p), whose x and y are metres along the rotated
  /// equator and meridians. Throws Error(usage) naming a parameter that is wrong, missing or of an ellipsoid.
  static MapProjection parse(std::string_view text);

  PlanePoint forward(const GeographicPoint& point) const;
  GeographicPoint inverse(const PlanePoint& point) const;
  struct Local {
    double scale_x = 1, scale_y = 1;  ///< metres of the plane for a metre on the sphere, along either axis
    double east = 0;                  ///< radians on the sphere from the x axis, anticlockwise, to true east
  };
  Local local(const GeographicPoint& point) const;

  double radius() const { return radius_; }  ///< m
  bool rotated_pole() const { return kind_ == Kind::rotated_pole; }
  /// Every parameter, in one order: equal projections give equal texts. `parse` reads it back.
  std::string to_string() const;
  /// CF's grid mapping: its name and attributes (CF 1.10, appendix F).
  struct GridMapping {
    std::string name;  ///< lambert_conformal_conic, polar_stereographic, stereographic, mercator, transverse_mercator,
                       ///< rotated_latitude_longitude: its coordinates are degrees, x / R and y / R
    struct Attribute {
      std::string name;
      std::vector<double> values;
    };
    std::vector<Attribute> attributes;
  };
  GridMapping grid_mapping() const;
  friend bool operator==(const MapProjection&, const MapProjection&) = default;

 private:
  enum class Kind { lambert, stereographic, mercator, transverse_mercator, rotated_pole };
  MapProjection() = default;
  void derive();
  bool polar() const;

  Kind kind_ = Kind::lambert;
  double radius_ = 0, lat_0_ = 0, lon_0_ = 0, lat_1_ = 0, lat_2_ = 0, scale_ = 1, x_0_ = 0, y_0_ = 0;  // degrees, m
  double pole_latitude_ = 90, pole_longitude_ = 0;     // o_lat_p, o_lon_p
  bool true_scale_ = false;                            // scale_ is lat_ts of a polar or Mercator projection
  double cone_ = 0, factor_ = 0, origin_ = 0, k_ = 1;  // Lambert's n, R F and rho_0; the scale at the centre
};

}  // namespace zonda
