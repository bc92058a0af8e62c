#include "inference/edge/forecast/regional_forecast.hpp"

#include <cmath>

#include "core/error.hpp"

namespace zonda::edge {

ForecastValues::ForecastValues(std::vector<float> values) {
  const auto kept = std::make_shared<const std::vector<float>>(std::move(values));
  values_ = *kept;
  owner_ = kept;
}

void RegionalForecast::check() const {
  if (channels.empty()) fail(ErrorKind::data, "a forecast has no channels");
  if (leads.empty()) fail(ErrorKind::data, "a forecast has no leads");
  for (std::size_t c = 0; c < channels.size(); ++c) {
    for (std::size_t other = 0; other < c; ++other) {
      if (channels[c] == channels[other]) fail(ErrorKind::data, "a forecast has channel {} twice", channels[c].name());
    }
  }
  for (std::size_t k = 0; k < leads.size(); ++k) {
    if (leads[k] < Duration::zero() || (k > 0 && leads[k] <= leads[k - 1])) {
      fail(ErrorKind::data, "a forecast's leads do not ascend from 0: lead {} is {} s", k, leads[k].count());
    }
  }
  const std::size_t expected = leads.size() * channels.size() * grid.size();
  if (values.size() != expected) {
    fail(ErrorKind::data, "a forecast has {} values; expected {} = {} leads x {} channels x {} cells", values.size(),
         expected, leads.size(), channels.size(), grid.size());
  }
  for (std::size_t k = 0; k < leads.size(); ++k) {
    for (std::size_t c = 0; c < channels.size(); ++c) {
      for (const float value : field(k, c)) {
        if (!std::isfinite(value)) {
          fail(ErrorKind::numerical, "a forecast's {} at lead {} holds a value that is not finite", channels[c].name(),
               to_string(leads[k]));
        }
      }
    }
  }
}

}  // namespace zonda::edge
