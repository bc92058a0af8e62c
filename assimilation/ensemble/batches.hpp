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

/// Finds the observations near a position.
class LocalSearch {
 public:
  /// Observations count whose weight exceeds `smallest`; where more than `most` do, the heaviest, of equals the ones
  /// with the lowest index.
  LocalSearch(const Localisation& localisation, std::span<const Position> observations, double smallest,
              std::size_t most);
  /// By index.
  std::vector<LocalObservation> near(const Position& centre) const;

 private:
  const Localisation& localisation_;
  std::span<const Position> observations_;
  double smallest_;
  std::size_t most_;
  std::vector<std::size_t> by_y_;
};

/// Contiguous shares of about equal total work.
std::vector<parallel::Range> balanced_shares(std::span<const std::size_t> work, std::size_t parts);

}  // namespace zonda::assimilation
