#include "model/training/schedule.hpp"

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"

namespace zonda::model {

double Schedule::rate(std::int64_t step, double progress) const {
  const double cosine = 0.5 * (1 + std::cos(constants::pi * std::clamp(progress, 0.0, 1.0)));
  const double rate = last + (peak - last) * cosine;
  return step < warm_up ? rate * static_cast<double>(step + 1) / static_cast<double>(warm_up) : rate;
}

double average_decay(double decay, std::int64_t step) {
  return std::min(decay, (1.0 + static_cast<double>(step)) / (10.0 + static_cast<double>(step)));
}

}  // namespace zonda::model
