#include "inference/export/golden_sample.hpp"

#include <cmath>
#include <numbers>

#include "core/philox.hpp"

namespace zonda::inference {

GoldenSample golden_sample(const model::ForecastLayout& layout) {
  constexpr int waves = 4;
  const Philox random(1, "golden sample");
  const std::size_t rows = layout.grid.nlat(), columns = layout.grid.nlon();
  GoldenSample sample;
  sample.input.assign(layout.input_channels() * rows * columns, 0.0F);
  sample.condition.resize(model::ForecastLayout::condition_size);
  std::uint64_t index = 0;
  for (std::size_t channel = 0; channel < layout.input_channels(); ++channel)
    for (int wave = 0; wave < waves; ++wave) {
      const double amplitude = 0.5 * random.normal(index), phase = 2 * std::numbers::pi * random.uniform(index + 1);
      const double across = std::floor(1 + 6 * random.uniform(index + 2)), along = 4 * random.uniform(index + 3);
      index += 4;
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < columns; ++j)
          sample.input[(channel * rows + i) * columns + j] += static_cast<float>(
              amplitude *
              std::cos(phase + 2 * std::numbers::pi *
                                   (along * double(i) / double(rows) + across * double(j) / double(columns))));
    }
  model::ForecastStep(layout).condition(parse_time("2000-04-01T06"), layout.steps.front(), Duration{0},
                                        sample.condition);
  return sample;
}

}  // namespace zonda::inference
