#include "assimilation/covariance/spectral_statistics.hpp"

#include <algorithm>
#include <array>

#include "core/error.hpp"

namespace zonda::assimilation {

StatisticalFields::StatisticalFields(const AtmosphereLayout& layout) {
  const auto pair = [&](const char* eastward, const char* northward) {
    const LaidField *u = layout.find(eastward), *v = layout.find(northward);
    if (!u && !v) return;
    if (!u || !v || u->offset.size() != v->offset.size() || u->a != v->a || u->b != v->b)
      fail(ErrorKind::usage, "spectral covariance: '{}' and '{}' are not on the same levels", eastward, northward);
    for (std::size_t k = 0; k < u->offset.size(); ++k) winds.push_back({u->offset[k], v->offset[k]});
  };
  pair("u", "v");
  pair("10u", "10v");
  pair("100u", "100v");
  if (!winds.empty()) groups = {{0, winds.size()}, {winds.size(), winds.size()}};
  constexpr std::array mass{"t", "z", "sp", "lnsp", "msl", "2t"};
  constexpr std::array of_wind{"u", "v", "10u", "10v", "100u", "100v"};
  const auto add = [&](const LaidField& field) {
    scalars.insert(scalars.end(), field.offset.begin(), field.offset.end());
  };
  for (const char* name : mass)
    if (const LaidField* field = layout.find(name)) add(*field);
  if (!scalars.empty()) groups.push_back({2 * winds.size(), scalars.size()});
  for (const LaidField& field : layout.fields) {
    if (std::find(mass.begin(), mass.end(), field.variable) != mass.end() ||
        std::find(of_wind.begin(), of_wind.end(), field.variable) != of_wind.end())
      continue;
    groups.push_back({2 * winds.size() + scalars.size(), field.offset.size()});
    add(field);
  }
}

void SpectralStatistics::check(const AtmosphereLayout& layout) const {
  const StatisticalFields fields(layout);
  const std::size_t waves = static_cast<std::size_t>(truncation + 1);
  require_size("the list of deviations", deviations.size(), fields.dependents());
  for (const Vector& rows : deviations) require_size("deviations by latitude", rows.size(), layout.grid.nlat());
  require_size("the list of regressions", regressions.size(), waves);
  for (const Vector& matrix : regressions)
    require_size("a regression", matrix.size(), fields.dependents() * fields.winds.size());
  require_size("the list of covariances", covariances.size(), fields.groups.size());
  for (std::size_t g = 0; g < covariances.size(); ++g) {
    require_size("the covariances of a group", covariances[g].size(), waves);
    for (const Vector& matrix : covariances[g])
      require_size("a covariance by wavenumber", matrix.size(), fields.groups[g].size * fields.groups[g].size);
  }
}

}  // namespace zonda::assimilation
