#include "model/forecast_state/boundary_ring.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "core/error.hpp"

namespace zonda::model {

BoundaryRing::BoundaryRing(const Grid& grid, int width)
    : width_(width),
      points_(grid.size()),
      rows_(grid.nlat()),
      weight_field_(grid.size()),
      distance_field_(grid.size(), 1.0F) {
  if (grid.periodic())
    fail(ErrorKind::usage, "boundary ring: the grid {} goes around the globe and has no lateral boundary",
         grid.to_string());
  if (width < 1 || static_cast<std::size_t>(2 * width) >= std::min(grid.nlat(), grid.nlon()))
    fail(ErrorKind::usage,
         "boundary ring: a width of {} cells on the grid {}, expected 1 to {}, so that cells stay "
         "between the rings",
         width, grid.to_string(), (std::min(grid.nlat(), grid.nlon()) - 1) / 2);
  for (std::size_t row = 0; row < grid.nlat(); ++row)
    for (std::size_t column = 0; column < grid.nlon(); ++column) {
      const std::size_t d = std::min({row, grid.nlat() - 1 - row, column, grid.nlon() - 1 - column});
      if (d >= static_cast<std::size_t>(width)) continue;
      const std::size_t cell = row * grid.nlon() + column;
      const double cosine = std::cos(std::numbers::pi * static_cast<double>(d) / (2.0 * width));
      cells_.push_back(static_cast<std::uint32_t>(cell));
      distances_.push_back(static_cast<int>(d));
      weights_.push_back(static_cast<float>(cosine * cosine));
      weight_field_[cell] = weights_.back();
      distance_field_[cell] = static_cast<float>(static_cast<double>(d) / width);
    }
}

std::size_t BoundaryRing::channels_of(std::size_t strip, std::size_t fields) const {
  const std::size_t channels = strip / size();
  if (strip % size() != 0 || fields != channels * points_)
    fail(ErrorKind::failure, "boundary ring: a strip of {} numbers for {} cells, fields of {} for {} points", strip,
         size(), fields, points_);
  return channels;
}

void BoundaryRing::gather(std::span<const float> fields, std::span<float> strip) const {
  const std::size_t channels = channels_of(strip.size(), fields.size());
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < size(); ++i) strip[c * size() + i] = fields[c * points_ + cells_[i]];
}

void BoundaryRing::scatter(std::span<const float> strip, std::span<float> fields) const {
  const std::size_t channels = channels_of(strip.size(), fields.size());
  std::fill(fields.begin(), fields.end(), 0.0F);
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < size(); ++i) fields[c * points_ + cells_[i]] = strip[c * size() + i];
}

void BoundaryRing::relax(std::span<const float> host_strip, std::span<float> fields) const {
  const std::size_t channels = channels_of(host_strip.size(), fields.size());
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < size(); ++i) {
      const float host = host_strip[c * size() + i];
      float& value = fields[c * points_ + cells_[i]];
      if (!std::isfinite(host))
        fail(ErrorKind::numerical, "the host's boundary is not finite: channel {}, row {}, column {}", c,
             cells_[i] / columns(), cells_[i] % columns());
      value = distances_[i] == 0 ? host : weights_[i] * host + (1.0F - weights_[i]) * value;
    }
}

void BoundaryRing::require_edge(std::span<const float> host_strip, std::span<const float> fields) const {
  const std::size_t channels = channels_of(host_strip.size(), fields.size());
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < size(); ++i) {
      if (distances_[i] != 0) continue;
      const float host = host_strip[c * size() + i], value = fields[c * points_ + cells_[i]];
      if (std::bit_cast<std::uint32_t>(host) != std::bit_cast<std::uint32_t>(value))
        fail(ErrorKind::failure, "the boundary is not the host's: channel {}, row {}, column {} is {}, the host has {}",
             c, cells_[i] / columns(), cells_[i] % columns(), value, host);
    }
}

}  // namespace zonda::model
