#include "model/spectral/transform_adjoint.hpp"

#include <vector>

namespace zonda::model {
namespace {

/// Waves times `wave`; of zonal means the imaginary parts become 0.
void scale_waves(const SpectralIndex& index, double wave, std::span<double> spectral) {
  const std::size_t means = index.begin(1), size = index.size();
  for (std::size_t i = 0; i < spectral.size(); ++i) {
    const std::size_t coefficient = i / 2 % size;
    if (coefficient >= means)
      spectral[i] *= wave;
    else if (i % 2 == 1)
      spectral[i] = 0;
  }
}

/// Quadrature weight of a point over the whole sphere.
double share(const SphericalTransform& transform, std::size_t i) {
  const std::size_t columns = std::size_t(transform.nlon()), row = i / columns % std::size_t(transform.nlat());
  return transform.weights()[row] / (2 * double(columns));
}

}  // namespace

void synthesise_adjoint(const SphericalTransform& transform, std::size_t series, std::span<const double> grid,
                        std::span<double> spectral) {
  std::vector<double> weighted(grid.begin(), grid.end());
  for (std::size_t i = 0; i < weighted.size(); ++i) weighted[i] /= share(transform, i);
  transform.analyse(series, weighted, spectral);
  scale_waves(transform.index(), 2, spectral);
}

void analyse_adjoint(const SphericalTransform& transform, std::size_t series, std::span<const double> spectral,
                     std::span<double> grid) {
  std::vector<double> halved(spectral.begin(), spectral.end());
  scale_waves(transform.index(), 0.5, halved);
  transform.synthesise(series, halved, grid);
  for (std::size_t i = 0; i < grid.size(); ++i) grid[i] *= share(transform, i);
}

}  // namespace zonda::model
