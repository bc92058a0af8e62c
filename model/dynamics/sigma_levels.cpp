#include "model/dynamics/sigma_levels.hpp"

#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::model {
namespace {

std::vector<double> standard_half_levels(int levels) {
  std::vector<double> half;
  for (int k = 0; k <= levels; ++k) {
    const double x = double(k) / levels;
    half.push_back(0.75 * x + 1.75 * x * x * x - 1.5 * x * x * x * x);
  }
  return half;
}

}  // namespace

SigmaLevels::SigmaLevels(int levels) : SigmaLevels(standard_half_levels(levels)) {}

SigmaLevels::SigmaLevels(std::vector<double> half_levels) : half_(std::move(half_levels)) {
  if (half_.size() < 2 || half_.front() != 0 || half_.back() != 1)
    fail(ErrorKind::usage, "sigma half levels: expected at least two, the first 0 and the last 1");
  for (std::size_t k = 0; k + 1 < half_.size(); ++k) {
    if (!(half_[k] < half_[k + 1]))
      fail(ErrorKind::usage, "sigma half levels must ascend; number {} is {} after {}", k + 1, half_[k + 1], half_[k]);
    thickness_.push_back(half_[k + 1] - half_[k]);
    log_ratio_.push_back(k == 0 ? 0 : std::log(half_[k + 1] / half_[k]));
    alpha_.push_back(1 - half_[k] / thickness_[k] * log_ratio_[k]);
    full_.push_back(half_[k + 1] * std::exp(-alpha_[k]));
  }
}

void SigmaLevels::hydrostatic(std::span<const double> temperature, std::span<double> geopotential) const {
  double below = 0;
  for (int k = count() - 1; k >= 0; --k) {
    geopotential[k] = constants::gas_constant_dry_air * (below + alpha_[k] * temperature[k]);
    below += log_ratio_[k] * temperature[k];
  }
}

}  // namespace zonda::model
