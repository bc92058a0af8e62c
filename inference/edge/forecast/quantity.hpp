#pragma once
// What can be asked of a forecast: its channels, and what follows from them: wind speed and direction, geopotential
// height, relative humidity. Names are ECMWF's short names, with the level where there is one: ws850, 10si, gh500.
#include <span>
#include <string>
#include <vector>

#include "inference/edge/forecast/point_interpolation.hpp"
#include "inference/edge/forecast/regional_forecast.hpp"

namespace zonda::edge {

enum class Formula { channel, wind_speed, wind_from_direction, geopotential_height, relative_humidity };

struct Quantity {
  std::string name;           ///< t850, 2t, ws850, wdir850, 10si, 10wdir, gh500, r850
  std::string standard_name;  ///< CF
  std::string title;          ///< "Wind speed at 850 hPa"
  std::string unit;           ///< SI, udunits; degree for directions
  int level_hpa = 0;
  Formula formula = Formula::channel;
  std::vector<std::size_t> channels;  ///< what the formula takes: (u, v), (z) or (q, t)
  /// Of one cell or point; `inputs` as `channels`.
  double evaluate(std::span<const double> inputs) const;
};

/// Every quantity that channels give: the channels themselves in their order, then the derived ones.
std::vector<Quantity> quantities_of(std::span<const Channel> channels);
/// By name. Throws Error(usage) naming the nearest one.
const Quantity& find_quantity(std::span<const Quantity> quantities, std::string_view name);

/// [lead] at a point: channels are interpolated, then the formula is applied.
std::vector<double> point_series(const RegionalForecast& forecast, const Quantity& quantity, const PointWeights& point);
/// [lat, lon] at one lead.
std::vector<float> quantity_field(const RegionalForecast& forecast, const Quantity& quantity, std::size_t lead);

}  // namespace zonda::edge
