#pragma once
#include "assimilation/interfaces/covariance.hpp"
#include "assimilation/observations/atmosphere_layout.hpp"

namespace zonda::assimilation {

/// Area-weighted means over the grid of the squares of each field and level, of the last slot of `state`, in the order
/// of the layout's fields and their levels, SI.
Vector field_mean_squares(const AtmosphereLayout& layout, ConstView state);

/// The same of the diagonal of `covariance`, estimated from `draws` of it (relative error about the root of
/// 2 / (draws x independent places)). Collective where the covariance is.
Vector field_variances(const AtmosphereLayout& layout, const Covariance& covariance, std::size_t draws = 16);

/// Factors [state] that are `of_field[f]` on field and level f in all slots, and 1 elsewhere.
Vector spread_over_fields(const AtmosphereLayout& layout, ConstView of_field);

}  // namespace zonda::assimilation
