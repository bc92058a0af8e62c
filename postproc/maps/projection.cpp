#include "postproc/maps/projection.hpp"

#include <cmath>
#include <vector>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::postproc {
namespace {

constexpr double degree = constants::pi / 180;

class LatLonProjection final : public Projection {
 public:
  explicit LatLonProjection(const Grid& grid) {
    if (grid.periodic()) {
      west_ = -180;
      width_ = 360;
    } else {
      west_ = grid.longitudes()[0] - grid.longitude_step() / 2;
      width_ = static_cast<double>(grid.nlon()) * grid.longitude_step();
    }
    north_ = std::min(90.0, grid.latitude_bounds().front());
    south_ = std::max(-90.0, grid.latitude_bounds().back());
  }
  double aspect() const override {
    // Regional maps keep distances true at their middle latitude.
    const double middle = width_ < 360 ? std::max(0.3, std::cos(0.5 * (north_ + south_) * degree)) : 1.0;
    return width_ * middle / (north_ - south_);
  }
  std::optional<Point> forward(double latitude, double longitude) const override {
    double east = std::fmod(longitude - west_ + 720, 360.0);
    // The right edge of a global map is a place as well; east of a regional one, what is nearer to its west lies left
    // of it.
    if (width_ >= 360 && east == 0 && longitude > west_ + 1) east = 360;
    if (width_ < 360 && east > (width_ + 360) / 2) east -= 360;
    return Point{east / width_, (north_ - latitude) / (north_ - south_)};
  }
  std::optional<GeoPoint> inverse(Point point) const override {
    if (point.x < 0 || point.x > 1 || point.y < 0 || point.y > 1) return std::nullopt;
    return GeoPoint{north_ - point.y * (north_ - south_), west_ + point.x * width_};
  }

 private:
  double west_, width_, north_, south_;
};

class Orthographic final : public Projection {
 public:
  Orthographic(double latitude, double longitude)
      : sine_(std::sin(latitude * degree)), cosine_(std::cos(latitude * degree)), longitude_(longitude) {}
  double aspect() const override { return 1; }
  bool round() const override { return true; }
  std::optional<Point> forward(double latitude, double longitude) const override {
    const double phi = latitude * degree, lambda = (longitude - longitude_) * degree;
    const double facing = sine_ * std::sin(phi) + cosine_ * std::cos(phi) * std::cos(lambda);
    if (facing < 0) return std::nullopt;
    const double x = std::cos(phi) * std::sin(lambda);
    const double y = cosine_ * std::sin(phi) - sine_ * std::cos(phi) * std::cos(lambda);
    return Point{(1 + x) / 2, (1 - y) / 2};
  }
  std::optional<GeoPoint> inverse(Point point) const override {
    const double x = 2 * point.x - 1, y = 1 - 2 * point.y;
    const double square = x * x + y * y;
    if (square > 1) return std::nullopt;
    const double z = std::sqrt(1 - square);
    const double latitude = std::asin(z * sine_ + y * cosine_) / degree;
    return GeoPoint{latitude, longitude_ + std::atan2(x, z * cosine_ - y * sine_) / degree};
  }

 private:
  double sine_, cosine_, longitude_;
};

class PolarStereographic final : public Projection {
 public:
  PolarStereographic(double sign, double edge_latitude, double longitude)
      : sign_(sign), longitude_(longitude), radius_(std::tan((90 - std::abs(edge_latitude)) * degree / 2)) {}
  double aspect() const override { return 1; }
  bool round() const override { return true; }
  std::optional<Point> forward(double latitude, double longitude) const override {
    const double r = std::tan((90 - sign_ * latitude) * degree / 2) / radius_;
    if (r > 1.0001) return std::nullopt;
    const double angle = (longitude - longitude_) * degree;
    return Point{(1 + r * std::sin(angle)) / 2, (1 + sign_ * r * std::cos(angle)) / 2};
  }
  std::optional<GeoPoint> inverse(Point point) const override {
    const double x = 2 * point.x - 1, y = sign_ * (2 * point.y - 1);
    const double r = std::hypot(x, y);
    if (r > 1) return std::nullopt;
    return GeoPoint{sign_ * (90 - 2 * std::atan(r * radius_) / degree), longitude_ + std::atan2(x, y) / degree};
  }

 private:
  double sign_, longitude_, radius_;
};

}  // namespace

std::unique_ptr<Projection> make_projection(const ProjectionOptions& options, const Grid& grid) {
  if (options.name == "lat-lon") return std::make_unique<LatLonProjection>(grid);
  if (options.name == "orthographic")
    return std::make_unique<Orthographic>(options.centre_latitude, options.centre_longitude);
  if (options.name == "north-polar")
    return std::make_unique<PolarStereographic>(1, options.edge_latitude, options.centre_longitude);
  if (options.name == "south-polar")
    return std::make_unique<PolarStereographic>(-1, options.edge_latitude, options.centre_longitude);
  const std::vector<std::string> known = {"lat-lon", "orthographic", "north-polar", "south-polar"};
  throw Error(ErrorKind::usage, unknown_word("projection", options.name, known));
}

}  // namespace zonda::postproc
