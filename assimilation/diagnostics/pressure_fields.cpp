#include "assimilation/diagnostics/pressure_fields.hpp"

#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

bool has_channel(const AtmosphereLayout& layout, const Channel& channel) {
  if (channel.variable == "sp" && layout.has("lnsp")) return true;
  const LaidField* field = layout.find(channel.variable);
  return field && field->upper_air() == (channel.level_hpa > 0);
}

/// Surface pressure [lat, lon], Pa; empty where the state has none.
Vector surface_pressure(const AtmosphereLayout& layout, ConstView slot) {
  const LaidField* pressure = layout.find("sp");
  const LaidField* logarithm = layout.find("lnsp");
  if (!pressure && !logarithm) return {};
  const ConstView field = slot.subspan((pressure ? pressure : logarithm)->offset[0], layout.grid.size());
  Vector result(field.begin(), field.end());
  if (!pressure)
    for (double& p : result) p = std::exp(p);
  return result;
}

void interpolate(const LaidField& field, ConstView slot, ConstView surface, double pressure, std::span<float> out) {
  const std::size_t levels = field.offset.size();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double ps = surface.empty() ? 0 : surface[i];
    const auto level_pressure = [&](std::size_t k) { return field.a[k] + field.b[k] * ps; };
    std::size_t lower = 0;
    while (lower < levels && level_pressure(lower) < pressure) ++lower;
    if (lower == 0 || lower == levels) {
      out[i] = static_cast<float>(slot[field.offset[lower == 0 ? 0 : levels - 1] + i]);
      continue;
    }
    const double above = level_pressure(lower - 1), below = level_pressure(lower);
    const double weight = std::log(pressure / above) / std::log(below / above);
    out[i] =
        static_cast<float>((1 - weight) * slot[field.offset[lower - 1] + i] + weight * slot[field.offset[lower] + i]);
  }
}

}  // namespace

PressureFields::PressureFields(const AtmosphereLayout& layout, std::vector<Channel> channels)
    : layout_(layout), channels_(std::move(channels)) {
  for (const Channel& channel : channels_)
    if (!has_channel(layout_, channel))
      fail(ErrorKind::usage, "channel {}: the model's state has no such field", channel.name());
}

std::vector<float> PressureFields::of(ConstView state) const {
  require_size("the state", state.size(), layout_.state_size());
  const ConstView slot = state.last(layout_.slot_size);
  const std::size_t points = layout_.grid.size();
  const Vector surface = surface_pressure(layout_, slot);
  std::vector<float> result(channels_.size() * points);
  for (std::size_t c = 0; c < channels_.size(); ++c) {
    const std::span<float> out = std::span(result).subspan(c * points, points);
    if (channels_[c].variable == "sp") {
      for (std::size_t i = 0; i < points; ++i) out[i] = static_cast<float>(surface[i]);
      continue;
    }
    const LaidField& field = *layout_.find(channels_[c].variable);
    if (field.upper_air()) {
      interpolate(field, slot, surface, 100.0 * channels_[c].level_hpa, out);
    } else {
      for (std::size_t i = 0; i < points; ++i) out[i] = static_cast<float>(slot[field.offset[0] + i]);
    }
  }
  return result;
}

std::vector<Channel> present_channels(const AtmosphereLayout& layout, const std::vector<Channel>& wanted) {
  std::vector<Channel> present;
  for (const Channel& channel : wanted)
    if (has_channel(layout, channel)) present.push_back(channel);
  return present;
}

}  // namespace zonda::assimilation
