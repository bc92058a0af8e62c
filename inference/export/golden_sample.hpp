#pragma once
// The input of a bundle's self-test: waves in every channel, the same for a layout on any machine.
#include <vector>

#include "model/forecast_state/forecast_layout.hpp"

namespace zonda::inference {

struct GoldenSample {
  std::vector<float> input;      ///< u [input channel, lat, lon], of order 1
  std::vector<float> condition;  ///< [condition size]
};

GoldenSample golden_sample(const model::ForecastLayout& layout);

}  // namespace zonda::inference
