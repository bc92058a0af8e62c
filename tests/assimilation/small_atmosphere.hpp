#pragma once
// A coarse atmosphere for tests: u, v, t and q on pressure levels, surface pressure and 2 m temperature.
#include <cmath>
#include <memory>

#include "assimilation/interfaces/observations.hpp"
#include "assimilation/observations/atmosphere_layout.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {

inline AtmosphereLayout small_atmosphere(const Grid& grid, std::size_t slots = 1) {
  const std::vector<Channel> channels{{"u", 300}, {"u", 500}, {"u", 850}, {"v", 300}, {"v", 500}, {"v", 850},
                                      {"t", 500}, {"t", 850}, {"q", 850}, {"sp", 0},  {"2t", 0}};
  AtmosphereLayout layout = channel_layout(grid, channels);
  layout.slots = slots;
  return layout;
}

/// The position that a number of the state has.
inline Position position_of(const AtmosphereLayout& layout, std::size_t component) {
  const std::size_t in_slot = component % layout.slot_size, point = in_slot % layout.grid.size();
  for (const LaidField& field : layout.fields)
    for (std::size_t k = 0; k < field.offset.size(); ++k)
      if (field.offset[k] == in_slot - point)
        return {layout.grid.longitudes()[point % layout.grid.nlon()],
                layout.grid.latitudes()[point / layout.grid.nlon()], std::log(field.upper_air() ? field.a[k] : 1e5)};
  return {};
}

inline Observations observe_components(const AtmosphereLayout& layout, std::vector<std::size_t> components) {
  Observations result;
  for (const std::size_t component : components) result.positions.push_back(position_of(layout, component));
  result.values = random_vector(components.size(), 77);
  result.errors.assign(components.size(), 0.7);
  result.instrument = std::make_shared<SelectedComponents>(layout.state_size(), std::move(components));
  return result;
}

/// Members that vary smoothly along the state.
inline Vector small_member(const AtmosphereLayout& layout, std::size_t k) {
  const Vector amplitude = random_vector(12, 500 + k);
  Vector state(layout.state_size());
  for (std::size_t i = 0; i < state.size(); ++i) {
    const Position at = position_of(layout, i);
    const double lon = at.x * 0.0174532925, lat = at.y * 0.0174532925;
    for (std::size_t w = 0; w < 6; ++w)
      state[i] += amplitude[2 * w] * std::cos(static_cast<double>(w % 3) * lon + static_cast<double>(w) * lat + at.z) +
                  amplitude[2 * w + 1] * std::sin(static_cast<double>(w % 3 + 1) * lon - at.z) * std::cos(lat);
  }
  return state;
}

}  // namespace zonda::assimilation
