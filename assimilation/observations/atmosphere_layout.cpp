#include "assimilation/observations/atmosphere_layout.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/standard_atmosphere.hpp"

namespace zonda::assimilation {

bool LaidField::follows_surface() const {
  return std::any_of(b.begin(), b.end(), [](double x) { return x != 0; });
}

const LaidField* AtmosphereLayout::find(std::string_view variable) const {
  for (const LaidField& field : fields)
    if (field.variable == variable) return &field;
  return nullptr;
}

void AtmosphereLayout::check() const {
  if (!orography.empty() && orography.size() != grid.size())
    fail(ErrorKind::usage, "orography of {} points on a grid of {}", orography.size(), grid.size());
  if (slots == 0) fail(ErrorKind::usage, "a state without a time slot");
  for (const LaidField& field : fields) {
    if (field.offset.empty() || (field.upper_air() && field.a.size() != field.offset.size()) ||
        field.a.size() != field.b.size())
      fail(ErrorKind::usage, "field '{}' has {} offsets and {} levels", field.variable, field.offset.size(),
           field.a.size());
    for (const std::size_t offset : field.offset)
      if (offset + grid.size() > slot_size)
        fail(ErrorKind::usage, "field '{}' ends {} numbers into a state of {}", field.variable, offset + grid.size(),
             slot_size);
    for (std::size_t k = 1; k < field.a.size(); ++k)
      if (field.a[k] + field.b[k] * 1e5 <= field.a[k - 1] + field.b[k - 1] * 1e5)
        fail(ErrorKind::usage, "levels of '{}' do not go down", field.variable);
    if (field.follows_surface() && !has("sp") && !has("lnsp"))
      fail(ErrorKind::usage, "'{}' lies on sigma levels, but the state holds no surface pressure", field.variable);
  }
}

AtmosphereLayout channel_layout(const Grid& grid, std::span<const Channel> channels, Vector orography) {
  AtmosphereLayout layout{grid, channels.size() * grid.size(), {}, std::move(orography), 1};
  struct Level {
    int hpa;
    std::size_t offset;
  };
  std::vector<std::pair<std::string, std::vector<Level>>> variables;
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const auto same = std::find_if(variables.begin(), variables.end(),
                                   [&](const auto& v) { return v.first == channels[c].variable; });
    auto& levels = same != variables.end() ? same->second
                                           : variables.emplace_back(channels[c].variable, std::vector<Level>()).second;
    levels.push_back({channels[c].level_hpa, c * grid.size()});
  }
  for (auto& [variable, levels] : variables) {
    std::sort(levels.begin(), levels.end(), [](const Level& x, const Level& y) { return x.hpa < y.hpa; });
    LaidField field{variable, {}, {}, {}};
    for (const Level& level : levels) {
      field.offset.push_back(level.offset);
      if (level.hpa > 0) {
        field.a.push_back(100.0 * level.hpa);
        field.b.push_back(0);
      }
    }
    layout.fields.push_back(std::move(field));
  }
  layout.check();
  return layout;
}

AtmosphereLayout sigma_layout(const Grid& grid, std::span<const std::string> upper_air, ConstView sigma,
                              std::span<const std::string> surface, Vector orography) {
  AtmosphereLayout layout{grid, 0, {}, std::move(orography), 1};
  const auto next = [&] {
    const std::size_t offset = layout.slot_size;
    layout.slot_size += grid.size();
    return offset;
  };
  for (const std::string& variable : upper_air) {
    LaidField field{variable, {}, Vector(sigma.size()), Vector(sigma.begin(), sigma.end())};
    for (std::size_t k = 0; k < sigma.size(); ++k) field.offset.push_back(next());
    layout.fields.push_back(std::move(field));
  }
  for (const std::string& variable : surface) layout.fields.push_back({variable, {next()}, {}, {}});
  layout.check();
  return layout;
}

std::vector<SharedLevel> shared_levels(const AtmosphereLayout& layout) {
  constexpr double surface = 1000e2;
  std::vector<SharedLevel> levels;
  for (const LaidField& field : layout.fields)
    for (std::size_t k = 0; k < field.a.size(); ++k) {
      const double p = field.a[k] + field.b[k] * surface;
      const auto same = std::find_if(levels.begin(), levels.end(), [&](const SharedLevel& level) {
        return std::abs(level.pressure(surface) - p) <= 1e-6 * p;
      });
      if (same != levels.end())
        same->offsets.push_back(field.offset[k]);
      else
        levels.push_back({field.a[k], field.b[k], {field.offset[k]}});
    }
  std::sort(levels.begin(), levels.end(),
            [](const SharedLevel& x, const SharedLevel& y) { return x.pressure(surface) < y.pressure(surface); });
  if (levels.empty()) levels.push_back({surface, 0, {}});
  for (const LaidField& field : layout.fields)
    if (!field.upper_air())
      levels.back().offsets.insert(levels.back().offsets.end(), field.offset.begin(), field.offset.end());
  return levels;
}

double surface_pressure_by_height(double height) {
  return 1000e2 * standard_pressure(height) / standard_pressure(0);
}

}  // namespace zonda::assimilation
