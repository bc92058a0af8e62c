#pragma once
#include <cstdint>

#include "assimilation/ensemble/ensemble.hpp"

namespace zonda::assimilation {

/// A random orthogonal matrix [members, members] that leaves (1, ..., 1) where it is: uniform over all such.
Vector mean_preserving_rotation(std::size_t members, std::uint64_t seed, std::uint64_t draw);

/// Turns the anomalies of a whole ensemble by such a matrix: mean and covariance stay (Sakov & Oke 2008).
void rotate(Ensemble& ensemble, std::uint64_t seed, std::uint64_t draw);

}  // namespace zonda::assimilation
