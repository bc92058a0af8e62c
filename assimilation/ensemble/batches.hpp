#pragma once
#include <vector>

#include "assimilation/covariance/localisation.hpp"
#include "assimilation/interfaces/position.hpp"
#include "assimilation/interfaces/vectors.hpp"
#include "parallel/partition.hpp"

namespace zonda::assimilation {

/// State variables that are analysed with one set of weights.
struct Batch {
  Position position;
  std::vector<std::size_t> variables;
};

/// Batches of `width` neighbours on a ring of `size` variables, one grid length apart.
std::vector<Batch> ring_batches(std::size_t size, std::size_t width);

/// An observation within reach of a batch.
struct LocalObservation {
  std::size_t index;
  double weight;  ///< of its 1/error^2
};

/// The observations whose weight exceeds `smallest`, by index; where more than `most`, the heaviest (of equals the ones
/// with the lowest index), by index again.
std::vector<LocalObservation> local_observations(const Localisation& localisation, const Position& centre,
                                                 std::span<const Position> observations, double smallest,
                                                 std::size_t most);

/// Contiguous shares of about equal total work.
std::vector<parallel::Range> balanced_shares(std::span<const std::size_t> work, std::size_t parts);

}  // namespace zonda::assimilation
