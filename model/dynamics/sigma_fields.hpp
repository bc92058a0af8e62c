#pragma once
// Between a spectral state and its fields on the transform's own Gaussian grid and sigma levels.
#include <cstddef>
#include <span>
#include <vector>

#include "model/dynamics/primitive_equations.hpp"

namespace zonda::model {

/// Fields: u, v (m/s), temperature (K), of a moist state humidity (kg/kg), each [level, lat, lon]; then surface
/// pressure (Pa) [lat, lon]. What the truncation holds of them goes there and back unchanged. One thread at a time.
class SigmaFields {
 public:
  /// Keeps a reference to the transform.
  SigmaFields(const SphericalTransform& transform, std::size_t levels, bool moist);
  std::size_t size() const { return series_ * plane_; }
  /// Grid -> spectral; `state` is of these levels. Throws Error(numerical) where the surface pressure is not positive.
  void analyse(std::span<const double> fields, SpectralState& state);
  /// Spectral -> grid.
  void synthesise(const SpectralState& state, std::span<double> fields);

 private:
  void gather(int block, std::span<const double> fields);
  void scatter(int block, std::span<double> fields) const;

  const SphericalTransform& transform_;
  std::size_t levels_, series_, plane_;
  bool moist_;
  std::vector<double> cosines_;  ///< [lat]
  std::vector<double> spectral_, fourier_, block_, line_;
};

}  // namespace zonda::model
