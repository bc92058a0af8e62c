#pragma once
#include <vector>

#include "assimilation/covariance/localisation.hpp"
#include "assimilation/interfaces/position.hpp"
#include "assimilation/interfaces/vectors.hpp"
#include "parallel/partition.hpp"

namespace zonda::assimilation {

/// A part of another batch's weights.
struct WeightShare {
  std::size_t batch;
  double weight;
};

/// State variables that are analysed with one set of weights: those of the observations near `position`, or, where
/// there are `shares`, a combination of other batches' weights (Yang et al. 2009), which have no shares themselves.
struct Batch {
  Position position;
  std::vector<std::size_t> variables;
  std::vector<WeightShare> shares = {};
};

/// Batches of `width` neighbours on a ring of `size` variables, one grid length apart.
std::vector<Batch> ring_batches(std::size_t size, std::size_t width);

/// An observation within reach of a batch.
struct LocalObservation {
  std::size_t index;
  double weight;  ///< of its 1/error^2
};

/// Finds the observations near a position: those of one x and y are a site, sites are sorted into cells, and only cells
/// within reach are looked at. A site's horizontal weight is computed once, as a sounding has many values.
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
  struct Axis {
    double first = 0, width = 1;
    std::size_t cells = 1;
    std::size_t cell(double at) const;
  };
  template <class Use>
  void for_each_cell(const Position& centre, Use use) const;
  double turned(double x) const;
  Axis x_, y_;
  double period_;
  std::vector<std::size_t> first_site_;  ///< [cell + 1], in the next
  std::vector<std::size_t> first_;       ///< [site + 1], in the two below
  std::vector<std::size_t> by_site_;     ///< observations
  std::vector<double> z_;                ///< theirs, ascending within a site
};

/// Contiguous shares of about equal total work.
std::vector<parallel::Range> balanced_shares(std::span<const std::size_t> work, std::size_t parts);

}  // namespace zonda::assimilation
