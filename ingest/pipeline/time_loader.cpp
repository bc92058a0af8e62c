#include "ingest/pipeline/time_loader.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.hpp"
#include "ingest/regrid/regridder.hpp"

namespace zonda::ingest {
namespace {

std::string named(const Channel& channel) {
  return channel.level_hpa == 0
             ? fmt::format("channel {}", channel.name())
             : fmt::format("channel {} ({} at {} hPa)", channel.name(), channel.variable, channel.level_hpa);
}

/// The place of `target` in `source` if it is a window of it.
std::optional<Grid::Window> window_of(const Grid& source, const Grid& target) {
  if (target.nlat() > source.nlat() || target.nlon() > source.nlon()) return std::nullopt;
  const auto find = [](std::span<const double> values, double wanted) {
    return static_cast<std::size_t>(
        std::ranges::find_if(values, [wanted](double v) { return std::abs(v - wanted) < 1e-9; }) - values.begin());
  };
  const Grid::Window window{find(source.latitudes(), target.latitudes()[0]), target.nlat(),
                            find(source.longitudes(), target.longitudes()[0]), target.nlon()};
  if (window.first_row + window.rows > source.nlat() || window.first_column >= source.nlon()) return std::nullopt;
  if (!source.periodic() && window.first_column + window.columns > source.nlon()) return std::nullopt;
  for (std::size_t y = 0; y < window.rows; ++y) {
    if (std::abs(source.latitudes()[window.first_row + y] - target.latitudes()[y]) > 1e-9) return std::nullopt;
  }
  for (std::size_t x = 0; x < window.columns; ++x) {
    if (std::abs(source.longitudes()[(window.first_column + x) % source.nlon()] - target.longitudes()[x]) > 1e-9) {
      return std::nullopt;
    }
  }
  return window;
}

void check_values(const std::string& source, const Channel& channel, const std::string& when, const Grid& grid,
                  std::span<const float> values, bool may_miss, bool check_range) {
  const auto missing =
      static_cast<std::size_t>(std::ranges::count_if(values, [](float v) { return !std::isfinite(v); }));
  if (missing > 0 && !may_miss) {
    fail(ErrorKind::data, "{}: {}{}: {} of {} values are missing; if that is right, give 'fill' a value for {}", source,
         named(channel), when, missing, values.size(), channel.variable);
  }
  if (!check_range) return;
  const Variable& info = channel.info();
  const auto outside = [&info](float v) { return std::isfinite(v) && (v < info.valid_min || v > info.valid_max); };
  const auto first = std::ranges::find_if(values, outside);
  if (first == values.end()) return;
  const auto point = static_cast<std::size_t>(first - values.begin());
  fail(ErrorKind::data,
       "{}: {}{}: {} of {} values lie outside the physical range {} to {} {}; the first is {} at {:.2f} N {:.2f} E: "
       "wrong "
       "units? ('sources.units' says which to believe)",
       source, named(channel), when, std::ranges::count_if(values, outside), values.size(), info.valid_min,
       info.valid_max, info.unit, *first, grid.latitudes()[point / grid.nlon()],
       grid.longitudes()[point % grid.nlon()]);
}

}  // namespace

struct TimeLoader::Field {
  Grid grid;
  std::vector<float> values;
};

TimeLoader::TimeLoader(const FieldCatalogue& catalogue, const IngestConfig& config, const Grid& target,
                       Duration accumulation)
    : catalogue_(catalogue), config_(config), target_(target), accumulation_(accumulation) {}

TimeLoader::Field TimeLoader::read(const FieldRecipe& recipe, const Channel& channel, std::optional<Time> time,
                                   std::optional<float> fill) const {
  Field field{catalogue_.grid(recipe), {}};
  field.values.resize(field.grid.size());
  catalogue_.read(recipe, field.values);
  check_values(catalogue_.sources()[recipe.source]->describe(), channel, time ? " at " + zonda::to_string(*time) : "",
               field.grid, field.values, fill.has_value(), config_.range_check);
  return field;
}

void TimeLoader::place(const Field& field, std::span<float> out) const {
  if (field.grid == target_) {
    std::ranges::copy(field.values, out.begin());
  } else if (const auto window = window_of(field.grid, target_)) {
    for (std::size_t y = 0; y < window->rows; ++y) {
      for (std::size_t x = 0; x < window->columns; ++x) {
        out[y * window->columns + x] =
            field.values[(window->first_row + y) * field.grid.nlon() + (window->first_column + x) % field.grid.nlon()];
      }
    }
  } else {
    cached_regridder(field.grid, target_, parse_regrid_method(config_.method))
        .apply(std::span<const float>(field.values), out);
  }
}

void TimeLoader::fill_missing(const Channel& channel, Time time, float fill, std::span<float> values) const {
  std::size_t missing = 0;
  for (float& value : values) {
    if (std::isfinite(value)) continue;
    value = fill;
    ++missing;
  }
  const double finite = 1.0 - static_cast<double>(missing) / static_cast<double>(values.size());
  if (finite < config_.finite_fraction) {
    fail(ErrorKind::data, "{} at {}: {:.4f} of the values are there, 'finite_fraction' asks for {}", named(channel),
         zonda::to_string(time), finite, config_.finite_fraction);
  }
}

void TimeLoader::load(const std::vector<Channel>& channels, Time time, std::span<float> values) const {
  const std::vector<std::optional<float>> fill = configured_fill(config_, channels);
  const std::size_t size = target_.size();
  const auto recipe_of = [&](const Channel& channel) { return catalogue_.find(channel, time, accumulation_); };
  std::vector<bool> done(channels.size(), false);
  std::vector<float> unasked;  // the partner of a wind component that the archive does not hold
  for (std::size_t c = 0; c < channels.size(); ++c) {
    if (done[c]) continue;
    const Channel& channel = channels[c];
    const std::span<float> out = values.subspan(c * size, size);
    const std::optional<FieldRecipe> recipe = recipe_of(channel);
    if (!recipe) fail(ErrorKind::data, "{} at {} is in none of the sources", named(channel), zonda::to_string(time));
    const Field field = read(*recipe, channel, time, fill[c]);

    const std::string& partner_name = channel.info().vector_partner;
    const bool moves = !(field.grid == target_) && !window_of(field.grid, target_);
    const Channel partner{partner_name, channel.level_hpa};
    const std::optional<FieldRecipe> partner_recipe =
        moves && !partner_name.empty() ? recipe_of(partner) : std::nullopt;
    if (partner_recipe && catalogue_.grid(*partner_recipe) == field.grid) {
      const auto place_of_partner = find_channel(channels, partner);
      const Field other = read(*partner_recipe, partner, time, place_of_partner ? fill[*place_of_partner] : fill[c]);
      unasked.resize(place_of_partner ? 0 : size);
      const std::span<float> other_out =
          place_of_partner ? values.subspan(*place_of_partner * size, size) : std::span(unasked);
      const bool eastward = channel.variable == "u" || channel.variable.ends_with("u");
      const Regridder regridder = cached_regridder(field.grid, target_, parse_regrid_method(config_.method));
      if (eastward) {
        regridder.apply_wind(field.values, other.values, out, other_out);
      } else {
        regridder.apply_wind(other.values, field.values, other_out, out);
      }
      if (place_of_partner) {
        done[*place_of_partner] = true;
        if (fill[*place_of_partner]) fill_missing(partner, time, *fill[*place_of_partner], other_out);
      }
    } else {
      place(field, out);
    }
    done[c] = true;
    if (fill[c]) fill_missing(channel, time, *fill[c], out);
  }
  for (std::size_t c = 0; c < channels.size(); ++c) {
    check_values("on " + target_.to_string(), channels[c], " at " + zonda::to_string(time), target_,
                 values.subspan(c * size, size), false, false);
  }
}

void TimeLoader::load_statics(const std::vector<Channel>& channels, std::span<float> values) const {
  const std::vector<std::optional<float>> fill = configured_fill(config_, channels);
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const std::optional<FieldRecipe> recipe = catalogue_.find_static(channels[c]);
    if (!recipe) fail(ErrorKind::data, "static channel {} is in none of the sources", channels[c].name());
    const std::span<float> out = values.subspan(c * target_.size(), target_.size());
    place(read(*recipe, channels[c], std::nullopt, fill[c]), out);
    if (fill[c]) fill_missing(channels[c], Time{}, *fill[c], out);
  }
}

}  // namespace zonda::ingest
