#pragma once
// What a simulation writes: fields on pressure levels and at the surface, on the model's Gaussian grid or any global
// grid.
#include <optional>
#include <string>
#include <vector>

#include "core/state.hpp"
#include "model/dynamics/primitive_equations.hpp"

namespace zonda::model {

/// Short names that can be asked for; `q` and `tp` only of a moist run. `orog` is static.
const std::vector<std::string>& simulated_variables();

class ModelOutput {
 public:
  /// `grid` is global and symmetric about the equator; wind at the poles is that of 0.001 degree beside. Spectral
  /// fields are evaluated on its points. Throws Error(usage) on an unknown variable, or one that the run does not
  /// carry.
  ModelOutput(const PrimitiveEquations& model, const Grid& grid, std::vector<Channel> channels);

  /// `rain`: kg m-2 on the model's Gaussian grid, for `tp`. Values are bounded as the physics bounds them: no negative
  /// humidity or rain.
  State make(const PrimitiveEquations& model, const std::vector<double>& rain) const;
  const Grid& grid() const { return grid_; }
  const std::vector<Channel>& channels() const { return channels_; }
  std::size_t bytes() const;  ///< memory that make() needs beside the state

 private:
  Grid grid_;
  std::vector<Channel> channels_;
  SphericalTransform transform_;
  std::size_t levels_;
  bool moist_;
};

}  // namespace zonda::model
