#include "core/map_projection.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda {
namespace {

using constants::pi;
constexpr double radian = pi / 180;

double wrapped(double degrees) {
  const double x = std::fmod(degrees, 360.0);
  return x < 0 ? (x + 360.0 >= 360.0 ? 0.0 : x + 360.0) : x;
}

/// From `centre` to `longitude`, radians in [-pi, pi].
double eastward(double longitude, double centre) {
  return std::remainder(longitude - centre, 360.0) * radian;
}

double isometric(double latitude) {  // tan(pi/4 + phi/2)
  return std::tan(pi / 4 + 0.5 * latitude);
}

/// PROJ's words `+key=value`; a key twice, or without a plus, is refused.
std::map<std::string, std::string, std::less<>> words_of(std::string_view text) {
  std::map<std::string, std::string, std::less<>> words;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find_first_of(" \t"), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (word.empty()) continue;
    const std::size_t equals = std::min(word.find('='), word.size());
    if (!word.starts_with('+') || equals < 2)
      fail(ErrorKind::usage, "projection '{}': expected words like +lat_0=50, found '{}'", text, word);
    const std::string key(word.substr(1, equals - 1));
    if (!words.emplace(key, std::string(word.substr(std::min(equals + 1, word.size())))).second)
      fail(ErrorKind::usage, "projection '{}': +{} is given twice", text, key);
  }
  return words;
}

}  // namespace

MapProjection MapProjection::parse(std::string_view text) {
  auto words = words_of(text);
  const auto take = [&](const char* key) -> std::optional<double> {
    const auto at = words.find(key);
    if (at == words.end()) return std::nullopt;
    double value = 0;
    const std::string& figures = at->second;
    const auto [end, error] = std::from_chars(figures.data(), figures.data() + figures.size(), value);
    if (error != std::errc() || end != figures.data() + figures.size() || !std::isfinite(value) ||
        std::abs(value) > 1e9)
      fail(ErrorKind::usage, "projection '{}': +{} is '{}', expected a number", text, key, figures);
    words.erase(at);
    return value;
  };
  const auto latitude = [&](const char* key, double fallback) {
    const double value = take(key).value_or(fallback);
    if (std::abs(value) > 90) fail(ErrorKind::usage, "projection '{}': +{} is {}, not a latitude", text, key, value);
    return value;
  };
  static const std::vector<std::string> known{"lcc", "stere", "merc", "tmerc", "ob_tran"};
  const auto named = words.find("proj");
  const std::string name = named == words.end() ? "" : named->second;
  const auto kind = std::find(known.begin(), known.end(), name);
  if (kind == known.end())
    fail(ErrorKind::usage,
         "projection '{}': +proj is '{}'; expected a conformal one, lcc, stere, merc or tmerc, or a rotated pole, "
         "ob_tran",
         text, name);
  words.erase(named);

  MapProjection p;
  p.kind_ = static_cast<Kind>(kind - known.begin());
  const auto sphere = take("R"), major = take("a"), minor = take("b");
  p.radius_ = sphere.value_or(major.value_or(constants::earth_radius));
  if (major.has_value() != minor.has_value() || (major && *major != *minor) || (sphere && major && *sphere != *major))
    fail(ErrorKind::usage, "projection '{}': the model's Earth is a sphere; expected +R alone", text);
  if (p.radius_ < 1e6 || p.radius_ > 1e8)
    fail(ErrorKind::usage, "projection '{}': a sphere of {} m; expected metres", text, p.radius_);
  if (p.kind_ == Kind::rotated_pole) {
    const auto of = words.find("o_proj");
    if (of == words.end() || of->second != "eqc")
      fail(ErrorKind::usage,
           "projection '{}': +o_proj is '{}'; expected eqc: metres along the rotated equator and meridians", text,
           of == words.end() ? "" : of->second);
    words.erase(of);
    if (!words.contains("o_lat_p"))
      fail(ErrorKind::usage, "projection '{}': +o_lat_p, the latitude of the rotated pole, is missing", text);
    p.pole_latitude_ = latitude("o_lat_p", 90);
    p.pole_longitude_ = std::remainder(take("o_lon_p").value_or(0), 360.0);
  } else {
    p.lat_0_ = latitude("lat_0", 0);
  }
  p.lon_0_ = wrapped(take("lon_0").value_or(0));
  p.x_0_ = take("x_0").value_or(0);
  p.y_0_ = take("y_0").value_or(0);
  if (const auto k = take("k_0")) p.scale_ = *k;
  if (const auto k = take("k")) p.scale_ = *k;
  if (!(p.scale_ > 0)) fail(ErrorKind::usage, "projection '{}': +k_0 is {}, expected more than 0", text, p.scale_);
  if (p.kind_ == Kind::rotated_pole && (p.scale_ != 1 || p.x_0_ != 0 || p.y_0_ != 0))
    fail(ErrorKind::usage, "projection '{}': a rotated pole has neither +k_0 nor +x_0 and +y_0", text);
  if (p.kind_ == Kind::lambert) {
    p.lat_1_ = latitude("lat_1", p.lat_0_);
    p.lat_2_ = latitude("lat_2", p.lat_1_);
    if (p.scale_ != 1)
      fail(ErrorKind::usage, "projection '{}': the scale of +proj=lcc is that of its parallels, not +k_0", text);
    if (std::abs(p.lat_1_ + p.lat_2_) < 1e-6 || std::max(std::abs(p.lat_1_), std::abs(p.lat_2_)) >= 90 ||
        std::abs(p.lat_0_) >= 90)
      fail(ErrorKind::usage,
           "projection '{}': +lat_1={} and +lat_2={} make no cone, or +lat_0={} is a pole; expected parallels of one "
           "hemisphere",
           text, p.lat_1_, p.lat_2_, p.lat_0_);
  }
  if (words.contains("lat_ts") && (p.kind_ == Kind::mercator || (p.kind_ == Kind::stereographic && p.polar()))) {
    p.scale_ = latitude("lat_ts", 0);
    p.true_scale_ = true;
    if (p.kind_ == Kind::mercator && std::abs(p.scale_) >= 90)
      fail(ErrorKind::usage, "projection '{}': +lat_ts is a pole", text);
  }
  for (const auto& [key, value] : words) {
    static const std::set<std::string, std::less<>> empty{"no_defs", "wktext", "type", "units"};
    const bool harmless = empty.contains(key) && (key != "units" || value == "m") && (key != "type" || value == "crs");
    if (!harmless)
      fail(ErrorKind::usage, "projection '{}': +{}{}{} is not known for +proj={}", text, key, value.empty() ? "" : "=",
           value, name);
  }
  p.derive();
  return p;
}

bool MapProjection::polar() const {
  return std::abs(lat_0_) == 90;
}

void MapProjection::derive() {
  k_ = scale_;
  if (kind_ == Kind::mercator && true_scale_) k_ = std::cos(scale_ * radian);
  if (kind_ == Kind::stereographic && true_scale_) k_ = 0.5 * (1 + std::sin(std::abs(scale_) * radian));
  if (kind_ != Kind::lambert) return;
  const double first = lat_1_ * radian, second = lat_2_ * radian;
  cone_ = std::abs(first - second) < 1e-10
              ? std::sin(first)
              : std::log(std::cos(first) / std::cos(second)) / std::log(isometric(second) / isometric(first));
  factor_ = k_ * radius_ * std::cos(first) * std::pow(isometric(first), cone_) / cone_;
  origin_ = factor_ / std::pow(isometric(lat_0_ * radian), cone_);
}

PlanePoint MapProjection::forward(const GeographicPoint& point) const {
  const double phi = point.latitude * radian, lambda = eastward(point.longitude, lon_0_);
  double x = 0, y = 0;
  switch (kind_) {
    case Kind::lambert: {
      const double rho = factor_ / std::pow(isometric(phi), cone_), theta = cone_ * lambda;
      x = rho * std::sin(theta);
      y = origin_ - rho * std::cos(theta);
      break;
    }
    case Kind::stereographic: {
      const double s = std::sin(lat_0_ * radian), c = polar() ? 0 : std::cos(lat_0_ * radian);
      const double k = 2 * k_ * radius_ / (1 + s * std::sin(phi) + c * std::cos(phi) * std::cos(lambda));
      x = k * std::cos(phi) * std::sin(lambda);
      y = k * (c * std::sin(phi) - s * std::cos(phi) * std::cos(lambda));
      break;
    }
    case Kind::mercator:
      x = k_ * radius_ * lambda;
      y = k_ * radius_ * std::asinh(std::tan(phi));
      break;
    case Kind::transverse_mercator:
      x = k_ * radius_ * std::atanh(std::cos(phi) * std::sin(lambda));
      y = k_ * radius_ * (std::atan2(std::tan(phi), std::cos(lambda)) - lat_0_ * radian);
      break;
    case Kind::rotated_pole: {
      const double s = std::sin(pole_latitude_ * radian), c = std::cos(pole_latitude_ * radian);
      const double towards = std::cos(phi) * std::cos(lambda);
      const double turned = std::atan2(std::cos(phi) * std::sin(lambda), s * towards + c * std::sin(phi));
      x = radius_ * std::remainder(turned + pole_longitude_ * radian, 2 * pi);
      y = radius_ * std::asin(std::clamp(s * std::sin(phi) - c * towards, -1.0, 1.0));
      break;
    }
  }
  return {x + x_0_, y + y_0_};
}

GeographicPoint MapProjection::inverse(const PlanePoint& point) const {
  const double x = point.x - x_0_, y = point.y - y_0_;
  double phi = 0, lambda = 0;
  switch (kind_) {
    case Kind::lambert: {
      const double sign = cone_ < 0 ? -1.0 : 1.0;
      const double rho = sign * std::hypot(x, origin_ - y);
      lambda = std::atan2(sign * x, sign * (origin_ - y)) / cone_;
      phi = rho == 0 ? sign * pi / 2 : 2 * std::atan(std::pow(factor_ / rho, 1 / cone_)) - pi / 2;
      break;
    }
    case Kind::stereographic: {
      const double s = std::sin(lat_0_ * radian), c = polar() ? 0 : std::cos(lat_0_ * radian);
      const double rho = std::hypot(x, y), angle = 2 * std::atan(rho / (2 * k_ * radius_));
      const double sine = std::sin(angle), cosine = std::cos(angle);
      phi = rho == 0 ? lat_0_ * radian : std::asin(std::clamp(cosine * s + y * sine * c / rho, -1.0, 1.0));
      lambda = rho == 0 ? 0 : std::atan2(x * sine, rho * c * cosine - y * s * sine);
      break;
    }
    case Kind::mercator:
      phi = std::atan(std::sinh(y / (k_ * radius_)));
      lambda = x / (k_ * radius_);
      break;
    case Kind::transverse_mercator: {
      const double d = y / (k_ * radius_) + lat_0_ * radian, e = x / (k_ * radius_);
      phi = std::asin(std::sin(d) / std::cosh(e));
      lambda = std::atan2(std::sinh(e), std::cos(d));
      break;
    }
    case Kind::rotated_pole: {
      const double s = std::sin(pole_latitude_ * radian), c = std::cos(pole_latitude_ * radian);
      const double d = y / radius_, e = x / radius_ - pole_longitude_ * radian, towards = std::cos(d) * std::cos(e);
      phi = std::asin(std::clamp(s * std::sin(d) + c * towards, -1.0, 1.0));
      lambda = std::atan2(std::cos(d) * std::sin(e), s * towards - c * std::sin(d));
      break;
    }
  }
  return {phi / radian, wrapped(lon_0_ + lambda / radian)};
}

MapProjection::Local MapProjection::local(const GeographicPoint& point) const {
  const double phi = point.latitude * radian, lambda = eastward(point.longitude, lon_0_);
  const auto conformal = [](double scale, double east) { return Local{scale, scale, east}; };
  switch (kind_) {
    case Kind::lambert: {
      const double rho = factor_ / std::pow(isometric(phi), cone_);
      return conformal(cone_ * rho / (radius_ * std::cos(phi)), cone_ * lambda);
    }
    case Kind::stereographic: {
      // The derivative by longitude, without the factor cos(phi) that vanishes at the pole.
      const double s = std::sin(lat_0_ * radian), c = polar() ? 0 : std::cos(lat_0_ * radian);
      const double k = 2 * k_ / (1 + s * std::sin(phi) + c * std::cos(phi) * std::cos(lambda));
      const double change = k * k / (2 * k_) * c * std::sin(lambda);
      return conformal(
          k, std::atan2(k * s * std::sin(lambda) + change * (c * std::sin(phi) - s * std::cos(phi) * std::cos(lambda)),
                        k * std::cos(lambda) + change * std::cos(phi) * std::sin(lambda)));
    }
    case Kind::mercator:
      return conformal(k_ / std::cos(phi), 0);
    case Kind::transverse_mercator: {
      const double across = std::cos(phi) * std::sin(lambda);
      return conformal(k_ / std::sqrt(1 - across * across),
                       std::atan2(std::sin(phi) * std::sin(lambda), std::cos(lambda)));
    }
    case Kind::rotated_pole: {
      // East in the frame of the rotated east and north, each times the cosine of the rotated latitude.
      const double s = std::sin(pole_latitude_ * radian), c = std::cos(pole_latitude_ * radian);
      const double along = s * std::cos(phi) + c * std::sin(phi) * std::cos(lambda), across = c * std::sin(lambda);
      return {1 / std::hypot(along, across), 1, std::atan2(across, along)};
    }
  }
  return {};
}

std::string MapProjection::to_string() const {
  constexpr std::array names{"lcc", "stere", "merc", "tmerc", "ob_tran +o_proj=eqc"};
  std::string text = fmt::format("+proj={}", names.at(static_cast<std::size_t>(kind_)));
  const auto add = [&](const char* key, double value) { text += fmt::format(" +{}={}", key, value); };
  if (kind_ == Kind::lambert) {
    add("lat_1", lat_1_);
    add("lat_2", lat_2_);
  }
  if (kind_ == Kind::rotated_pole) {
    add("o_lat_p", pole_latitude_);
    add("o_lon_p", pole_longitude_);
  } else if (kind_ != Kind::mercator) {
    add("lat_0", lat_0_);
  }
  add("lon_0", lon_0_);
  if (kind_ != Kind::lambert && kind_ != Kind::rotated_pole) add(true_scale_ ? "lat_ts" : "k_0", scale_);
  add("x_0", x_0_);
  add("y_0", y_0_);
  add("R", radius_);
  return text;
}

MapProjection::GridMapping MapProjection::grid_mapping() const {
  GridMapping mapping;
  const auto add = [&](const char* name, std::vector<double> values) {
    mapping.attributes.push_back({name, std::move(values)});
  };
  const double longitude = lon_0_ > 180 ? lon_0_ - 360 : lon_0_;
  switch (kind_) {
    case Kind::lambert:
      mapping.name = "lambert_conformal_conic";
      add("standard_parallel", lat_1_ == lat_2_ ? std::vector{lat_1_} : std::vector{lat_1_, lat_2_});
      add("longitude_of_central_meridian", {longitude});
      add("latitude_of_projection_origin", {lat_0_});
      break;
    case Kind::stereographic:
      mapping.name = polar() ? "polar_stereographic" : "stereographic";
      add(polar() ? "straight_vertical_longitude_from_pole" : "longitude_of_projection_origin", {longitude});
      add("latitude_of_projection_origin", {lat_0_});
      add(true_scale_ ? "standard_parallel" : "scale_factor_at_projection_origin", {scale_});
      break;
    case Kind::mercator:
      mapping.name = "mercator";
      add("longitude_of_projection_origin", {longitude});
      add(true_scale_ ? "standard_parallel" : "scale_factor_at_projection_origin", {scale_});
      break;
    case Kind::transverse_mercator:
      mapping.name = "transverse_mercator";
      add("longitude_of_central_meridian", {longitude});
      add("latitude_of_projection_origin", {lat_0_});
      add("scale_factor_at_central_meridian", {scale_});
      break;
    case Kind::rotated_pole:
      mapping.name = "rotated_latitude_longitude";
      add("grid_north_pole_latitude", {pole_latitude_});
      add("grid_north_pole_longitude", {std::remainder(lon_0_ + 180, 360.0)});
      add("north_pole_grid_longitude", {pole_longitude_});
      add("earth_radius", {radius_});
      return mapping;
  }
  add("false_easting", {x_0_});
  add("false_northing", {y_0_});
  add("earth_radius", {radius_});
  return mapping;
}

}  // namespace zonda
