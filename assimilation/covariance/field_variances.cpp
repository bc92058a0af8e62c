#include "assimilation/covariance/field_variances.hpp"

#include <algorithm>
#include <numeric>

namespace zonda::assimilation {
namespace {

std::vector<std::size_t> offsets_of(const AtmosphereLayout& layout) {
  std::vector<std::size_t> offsets;
  for (const LaidField& field : layout.fields) offsets.insert(offsets.end(), field.offset.begin(), field.offset.end());
  return offsets;
}

}  // namespace

Vector field_mean_squares(const AtmosphereLayout& layout, ConstView state) {
  require_size("the state", state.size(), layout.state_size());
  const ConstView present = state.last(layout.slot_size);
  const std::span<const double> weights = layout.grid.row_weights();
  const std::size_t nlon = layout.grid.nlon();
  const double area = std::accumulate(weights.begin(), weights.end(), 0.0) * static_cast<double>(nlon);
  Vector means;
  for (const std::size_t offset : offsets_of(layout)) {
    double sum = 0;
    for (std::size_t j = 0; j < weights.size(); ++j) {
      const ConstView row = present.subspan(offset + j * nlon, nlon);
      sum += weights[j] * dot(row, row);
    }
    means.push_back(sum / area);
  }
  return means;
}

Vector field_variances(const AtmosphereLayout& layout, const Covariance& covariance, std::size_t draws) {
  Vector sum(offsets_of(layout).size());
  for (std::size_t draw = 0; draw < draws; ++draw)
    axpy(1 / static_cast<double>(draws), field_mean_squares(layout, covariance.randomise(0, "field variances", draw)),
         sum);
  return sum;
}

Vector spread_over_fields(const AtmosphereLayout& layout, ConstView of_field) {
  const std::vector<std::size_t> offsets = offsets_of(layout);
  require_size("the factors of fields", of_field.size(), offsets.size());
  Vector factors(layout.state_size(), 1.0);
  for (std::size_t s = 0; s < layout.slots; ++s)
    for (std::size_t f = 0; f < offsets.size(); ++f)
      std::fill_n(factors.begin() + static_cast<std::ptrdiff_t>(s * layout.slot_size + offsets[f]), layout.grid.size(),
                  of_field[f]);
  return factors;
}

}  // namespace zonda::assimilation
