#pragma once
// Sigma levels and the vertical scheme of Simmons & Burridge (1981, Mon. Wea. Rev. 109, 758-766), which conserves
// energy and angular momentum. Level 0 is the uppermost; half level k lies above full level k, half levels run from 0
// (top) to 1 (ground).
#include <span>
#include <vector>

namespace zonda::model {

class SigmaLevels {
 public:
  /// `levels` layers between the half levels s(x) = 3/4 x + 7/4 x^3 - 3/2 x^4, x = k / levels: thin at the ground and
  /// the top.
  explicit SigmaLevels(int levels);
  /// Half levels as given: ascending from 0 to 1. Throws Error(usage).
  explicit SigmaLevels(std::vector<double> half_levels);

  int count() const { return int(thickness_.size()); }
  std::span<const double> half() const { return half_; }            ///< [count + 1]
  std::span<const double> full() const { return full_; }            ///< [count], ln(full_k) = ln(half_{k+1}) - alpha_k
  std::span<const double> thickness() const { return thickness_; }  ///< [count]
  /// ln(half_{k+1} / half_k); 0 for the top layer, where no sum reaches above it.
  std::span<const double> log_ratio() const { return log_ratio_; }
  /// 1 - half_k / thickness_k log_ratio_k: from the lower half level to the full level, in ln p. In pure sigma the
  /// pressure-gradient term is then exactly R T grad ln ps; 1 in the top layer.
  std::span<const double> alpha() const { return alpha_; }

  /// Geopotential of the full levels above the ground, R (alpha_k T_k + sum_{j>k} log_ratio_j T_j): `temperature`,
  /// `geopotential` [count].
  void hydrostatic(std::span<const double> temperature, std::span<double> geopotential) const;

 private:
  std::vector<double> half_, full_, thickness_, log_ratio_, alpha_;
};

}  // namespace zonda::model
