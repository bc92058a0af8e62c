#pragma once
// Losses of one predicted field against wanted ones, on the interior of a region alone.
#include <cstddef>
#include <span>
#include <vector>

#include "core/grid.hpp"
#include "model/forecast_state/boundary_ring.hpp"
#include "model/training/distillation/cosine_spectrum.hpp"

namespace zonda::model {

/// The interior's cells as a field of their own, with area weights of mean 1.
class Interior {
 public:
  Interior(const Grid& grid, const BoundaryRing& ring);
  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  std::size_t size() const { return cells_.size(); }
  std::span<const std::size_t> cells() const { return cells_; }  ///< in the region's field
  std::span<const double> weights() const { return weights_; }   ///< [cell]
  /// `field [lat, lon]` -> `[row, column]` of the interior.
  std::vector<double> take(std::span<const float> field) const;

 private:
  std::size_t rows_, columns_;
  std::vector<std::size_t> cells_;
  std::vector<double> weights_;
};

/// Area-weighted mean of ((x - wanted) / unit)^2; adds `factor` times its gradient to `gradient`.
double squared_error(const Interior& interior, std::span<const float> x, std::span<const float> wanted, double unit,
                     double factor, std::span<float> gradient);

/// Cells. A grid does not carry shorter waves faithfully (Skamarock 2004 finds six to seven cells for grid-point
/// models).
inline constexpr double shortest_resolved_wave = 4;

/// One field of a sample: what is predicted, what is wanted, where the gradient goes.
struct FieldPair {
  std::span<const float> x, wanted;
  std::span<float> gradient;
};

/// Mean over the bands of resolved waves of (sqrt S(x) - sqrt S(wanted))^2 / S(wanted), S the power of a band in all
/// samples together, each by its own scale (the geometric mean over the bands of what is wanted): what the squared
/// error does not ask for, since it prefers smooth fields where it cannot know better (the amplitude term of Subich et
/// al. 2025, arXiv 2501.19374, by bands of cosine modes, each relative to its own power). The power of each sample on
/// its own would again be asked for smoothed: less than the mean of what occurs. Shorter waves are left to the squared
/// error: relative to their little power they would count most. Adds `factor` times its gradient.
double spectral_error(const Interior& interior, const CosineSpectrum& spectrum, std::span<const FieldPair> samples,
                      double factor);

}  // namespace zonda::model
