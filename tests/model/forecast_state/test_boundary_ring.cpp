#include "model/forecast_state/boundary_ring.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "tests/model/forecast_state/regional_layout.hpp"

namespace zonda::model {
namespace {

std::vector<float> random_numbers(std::size_t n, const char* purpose) {
  const Philox philox(5, purpose);
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(philox.normal(i));
  return values;
}

const Grid grid = Grid::regional(60, 42.5, 8, 350, 12.5, 10);

TEST(BoundaryRing, HoldsTheCellsNearTheEdgeRowAfterRow) {
  const BoundaryRing ring(grid, 2);
  EXPECT_EQ(ring.size(), 8U * 10 - 4U * 6);
  EXPECT_TRUE(std::is_sorted(ring.cells().begin(), ring.cells().end()));
  EXPECT_EQ(ring.cells()[0], 0U);
  EXPECT_EQ(ring.cells()[20], 20U);  // row 2, column 0
  EXPECT_EQ(ring.cells()[21], 21U);
  EXPECT_EQ(ring.cells()[22], 28U);  // columns 2 to 7 are interior
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const std::size_t row = ring.cells()[i] / 10, column = ring.cells()[i] % 10;
    EXPECT_EQ(static_cast<std::size_t>(ring.distances()[i]), std::min({row, 7 - row, column, 9 - column}));
  }
}

TEST(BoundaryRing, WeightsFallAsTheSquaredCosine) {
  const BoundaryRing ring(Grid::regional(60, 30, 31, 0, 40, 41), 8);
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const double cosine = std::cos(std::numbers::pi * ring.distances()[i] / 16);
    EXPECT_FLOAT_EQ(ring.weights()[i], static_cast<float>(cosine * cosine));
    if (ring.distances()[i] == 0) {
      EXPECT_EQ(ring.weights()[i], 1.0F);
    }
    EXPECT_EQ(ring.weight_field()[ring.cells()[i]], ring.weights()[i]);
    EXPECT_FLOAT_EQ(ring.distance_field()[ring.cells()[i]], static_cast<float>(ring.distances()[i]) / 8);
  }
  EXPECT_EQ(ring.distance_field()[15 * 41 + 20], 1.0F);
  EXPECT_TRUE(ring.interior(15 * 41 + 20));
  EXPECT_FALSE(ring.interior(7 * 41 + 20));
  EXPECT_TRUE(ring.interior(8 * 41 + 20));
}

TEST(BoundaryRing, GatherUndoesScatter) {
  const BoundaryRing ring(grid, 3);
  const std::vector<float> strip = random_numbers(2 * ring.size(), "strip");
  std::vector<float> fields(2 * grid.size(), 9), back(strip.size());
  ring.scatter(strip, fields);
  ring.gather(fields, back);
  EXPECT_EQ(back, strip);
  for (std::size_t cell = 0; cell < grid.size(); ++cell)
    if (ring.interior(cell)) {
      EXPECT_EQ(fields[cell], 0.0F);
    }
}

TEST(BoundaryRing, RelaxationIsTheHostAtTheEdgeAndThePredictionInside) {
  const BoundaryRing ring(grid, 2);
  const std::vector<float> host = random_numbers(ring.size(), "host"), predicted = random_numbers(grid.size(), "x");
  std::vector<float> x = predicted;
  ring.relax(host, x);
  ring.require_edge(host, x);
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const std::size_t cell = ring.cells()[i];
    if (ring.distances()[i] == 0) {
      EXPECT_EQ(x[cell], host[i]);
    } else {
      EXPECT_NEAR(x[cell], 0.5 * host[i] + 0.5 * predicted[cell], 1e-6);
    }
  }
  for (std::size_t cell = 0; cell < grid.size(); ++cell)
    if (ring.interior(cell)) {
      EXPECT_EQ(x[cell], predicted[cell]);
    }
  // What is the host's already stays.
  std::vector<float> same = predicted, strip(ring.size());
  ring.gather(same, strip);
  ring.relax(strip, same);
  for (std::size_t cell = 0; cell < grid.size(); ++cell) EXPECT_NEAR(same[cell], predicted[cell], 3e-7);
}

TEST(BoundaryRing, AnEdgeThatIsNotTheHostsIsNamed) {
  const BoundaryRing ring(grid, 2);
  const std::vector<float> host(ring.size(), 1.0F);
  std::vector<float> x(grid.size(), 1.0F);
  x[9] = 1.0F + 1e-7F;
  try {
    ring.require_edge(host, x);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("row 0, column 9"), std::string::npos) << error.what();
  }
  x[9] = 1.0F;
  x[2 * 10 + 5] = 7;  // interior
  EXPECT_NO_THROW(ring.require_edge(host, x));
}

TEST(BoundaryRing, RefusesWhatHasNoBoundaryOrNoInterior) {
  EXPECT_THROW(BoundaryRing(Grid::latlon(8, 16, false), 2), Error);
  EXPECT_THROW(BoundaryRing(grid, 0), Error);
  EXPECT_THROW(BoundaryRing(grid, 4), Error);
  EXPECT_NO_THROW(BoundaryRing(grid, 3));
  const BoundaryRing ring(grid, 2);
  std::vector<float> host(ring.size()), x(grid.size());
  host[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(ring.relax(host, x), Error);
}

TEST(RegionalLayout, IsWrittenAndReadAndLeavesGlobalOnesAsTheyWere) {
  const ForecastLayout layout = regional_layout(3);
  const ForecastLayout read = ForecastLayout::from_json(layout.to_json());
  ASSERT_TRUE(read.boundary.has_value());
  EXPECT_EQ(read.boundary->width, 3);
  EXPECT_EQ(read.to_json(), layout.to_json());
  ForecastLayout global = layout;
  global.boundary.reset();
  EXPECT_FALSE(global.to_json().contains("boundary"));
  EXPECT_FALSE(global.to_json().contains("static_mean"));
  EXPECT_FALSE(ForecastLayout::from_json(global.to_json()).boundary.has_value());
  EXPECT_EQ(layout.input_channels(), global.input_channels() + 2 * 2 + 1);
  EXPECT_EQ(input_levels(layout).size(), layout.input_channels());
  EXPECT_EQ(std::vector<int>(input_levels(layout)), (std::vector<int>{1, 2, 1, 2, 0, 0, 1, 2, 1, 2, 0}));
}

TEST(RegionalLayout, TheNetworkIsFedTheHostsRingAndTheDistance) {
  const ForecastLayout layout = regional_layout(2);
  const ForecastStep step(layout);
  const std::size_t points = layout.points(), n = 3 * points;
  const auto previous = random_numbers(n, "previous"), current = random_numbers(n, "current");
  const auto now = random_numbers(points, "now"), next = random_numbers(points, "next");
  const auto host_now = random_numbers(step.strip_size(), "host now"),
             host_next = random_numbers(step.strip_size(), "h");
  std::vector<float> u(layout.input_channels() * points);
  step.assemble(previous, current, now, next, u, host_now, host_next);
  const std::size_t first = 2 * 2 + 2;  // states and forcings come before
  const BoundaryRing& ring = step.ring();
  for (std::size_t p = 0; p < 2; ++p)
    for (std::size_t i = 0; i < ring.size(); ++i) {
      EXPECT_EQ(u[(first + p) * points + ring.cells()[i]], host_now[p * ring.size() + i]);
      EXPECT_EQ(u[(first + 2 + p) * points + ring.cells()[i]], host_next[p * ring.size() + i]);
    }
  for (std::size_t cell = 0; cell < points; ++cell) {
    for (std::size_t c = 0; ring.interior(cell) && c < 4; ++c) EXPECT_EQ(u[(first + c) * points + cell], 0.0F);
    EXPECT_EQ(u[(first + 4) * points + cell], ring.distance_field()[cell]);
  }
  EXPECT_THROW(step.assemble(previous, current, now, next, u), Error);
}

TEST(RegionalLayout, StaticFieldsKeepTheLargerGridsNormalisation) {
  ForecastLayout layout = regional_layout();
  layout.static_channels = {{"lsm", 0}};
  layout.static_fields.assign(layout.points(), 300);
  layout.static_mean = {100};
  layout.static_stddev = {400};
  const ForecastStep step(layout);
  for (const float value : step.statics()) EXPECT_FLOAT_EQ(value, 0.5F);
}

}  // namespace
}  // namespace zonda::model
