#pragma once
// A regional layout without an archive: two channels that are fed back, one that is not.
#include "model/forecast_state/forecast_layout.hpp"

namespace zonda {

inline model::ForecastLayout regional_layout(int width = 2) {
  using namespace std::chrono_literals;
  return {
      .grid = Grid::regional(60, 42.5, 8, 350, 12.5, 10),
      .channels = {{"z", 500}, {"tp", 0}, {"q", 850}},
      .static_channels = {},
      .static_fields = {},
      .forcings = {"cos_local_time"},
      .steps = {Duration{6h}, Duration{12h}},
      .target = model::Target::tendency,
      .normalisation = {.mean = {54000, 1e-3, 5e-3},
                        .stddev = {3000, 2e-3, 4e-3},
                        .tendency_stddev = {{Duration{6h}, {300, 2e-3, 1e-3}}, {Duration{12h}, {500, 2e-3, 1.5e-3}}}},
      .trained_lead = Duration{24h},
      .boundary = model::LateralBoundary{width}};
}

}  // namespace zonda
