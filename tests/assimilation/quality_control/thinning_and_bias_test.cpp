#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "assimilation/observations/selected_components.hpp"
#include "assimilation/quality_control/bias_correction.hpp"
#include "assimilation/quality_control/thinning.hpp"
#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"
#include "tests/assimilation/differential_checks.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"

namespace zonda::assimilation {
namespace {

using ingest::Observation;
using ingest::ObservationTable;
using ingest::QualityFlag;
using ingest::ReportKind;

ObservationTable flights(std::size_t n) {
  const Philox random(5, "flights");
  ObservationTable table;
  for (std::size_t i = 0; i < n; ++i) {
    Observation entry;
    entry.station = "F";
    entry.kind = ReportKind::aircraft;
    entry.latitude = 48 + 2 * random.uniform(4 * i);
    entry.longitude = 359 + 2 * random.uniform(4 * i + 1);
    if (entry.longitude >= 360) entry.longitude -= 360;
    entry.pressure = 25000;
    entry.time = parse_time("2020-01-01T00:30");
    entry.error = 2;
    entry.value = random.normal(4 * i + 2);
    entry.variable = ingest::variable_number("u");
    table.add(entry);
    entry.variable = ingest::variable_number("v");
    table.add(entry);
  }
  return table;
}

TEST(Thinning, keeps_one_wind_a_box_with_both_components) {
  ObservationTable table = flights(400);
  thin(table, ReportKind::aircraft, {100e3, 1, 3600});
  const auto used = table.used();
  EXPECT_GT(used.size(), 2u * 4);   // 2 x 2 degrees: at least two boxes each way
  EXPECT_LT(used.size(), 2u * 20);  // and no more than the edges' boxes besides
  for (std::size_t i = 0; i < table.size(); i += 2) EXPECT_EQ(table.accepted(i), table.accepted(i + 1));
  ObservationTable again = table.select(used);
  thin(again, ReportKind::aircraft, {100e3, 1, 3600});
  EXPECT_EQ(again.used().size(), used.size());  // thinning twice is thinning once
}

TEST(Thinning, tells_levels_times_and_kinds_apart) {
  ObservationTable table = flights(4);
  for (std::size_t i = 0; i < table.size(); ++i) {
    table.latitude[i] = 48.5;
    table.longitude[i] = 7;
  }
  table.pressure[2] = table.pressure[3] = 50000;
  table.time[4] = table.time[5] = parse_time("2020-01-01T06:30");
  table.kind[6] = table.kind[7] = ReportKind::temp;
  thin(table, ReportKind::aircraft, {100e3, 0.1, 3600});
  EXPECT_EQ(table.used().size(), 8u);
}

TEST(Superobs, are_means_with_the_error_of_means) {
  ObservationTable table = flights(9);
  for (std::size_t i = 0; i < table.size(); ++i) {
    table.latitude[i] = 48.5 + 0.01 * static_cast<double>(i / 2);
    table.longitude[i] = 7.1;
    table.value[i] = static_cast<double>(i);
    table.background[i] = static_cast<double>(i) - 3;
  }
  superob(table, ReportKind::aircraft, {100e3, 1, 3600}, 0.5);
  const auto used = table.used();
  ASSERT_EQ(used.size(), 2u);
  EXPECT_NEAR(table.value[used[0]], 8, 1e-12);  // of 0, 2 ... 16
  EXPECT_NEAR(table.background[used[0]], 5, 1e-12);
  EXPECT_NEAR(table.latitude[used[0]], 48.54, 1e-12);
  EXPECT_NEAR(table.error[used[0]], std::hypot(2.0 / 3, 0.5), 1e-12);
  EXPECT_NEAR(table.pressure[used[0]], 25000, 1e-9);
}

TEST(StationBias, is_found_and_taken_off) {
  const Philox random(9, "bias");
  StationBias bias(0.05, 10);
  double last = 0;
  for (std::uint64_t cycle = 0; cycle < 200; ++cycle) {
    ObservationTable table;
    for (const auto& [station, offset] : {std::pair{"A", 1.5}, std::pair{"B", -0.7}}) {
      Observation entry;
      entry.station = station;
      entry.latitude = entry.longitude = 10;
      entry.variable = ingest::variable_number("2t");
      entry.value = 280 + offset + 0.3 * random.normal(10 * cycle + (offset > 0 ? 0 : 1));
      table.add(entry);
      table.background.back() = 280;
    }
    bias.correct(table);
    bias.update(table);
    last = table.value[0];
  }
  EXPECT_NEAR(bias.estimate("A", "2t"), 1.5, 0.15);
  EXPECT_NEAR(bias.estimate("B", "2t"), -0.7, 0.15);
  EXPECT_EQ(bias.estimate("C", "2t"), 0);
  EXPECT_NEAR(last, 280, 1.5);

  const ScratchFolder folder("bias");
  bias.save(folder.path() / "bias.json");
  EXPECT_EQ(StationBias::load(folder.path() / "bias.json").estimate("A", "2t"), bias.estimate("A", "2t"));
  write_file(folder.path() / "bias.json", "[]");
  EXPECT_THROW(StationBias::load(folder.path() / "bias.json"), Error);
}

DifferentiableMap map_of(const std::shared_ptr<const ObservationOperator>& h) {
  const Vector state = random_vector(h->state_size(), 0);
  return {h->state_size(),
          h->size(),
          state,
          1,
          [=](ConstView x) {
            Vector y(h->size(), 99);
            h->apply(x, y);
            return y;
          },
          [=](ConstView x) {
            Vector y(h->size(), 99);
            h->tangent(state, x, y);
            return y;
          },
          [=](ConstView y) {
            Vector x(h->state_size(), 99);
            h->adjoint(state, y, x);
            return x;
          }};
}

TEST(BiasedOperator, passes_the_suite_of_operators) {
  const auto inner = std::make_shared<SelectedComponents>(7, std::vector<std::size_t>{5, 1, 2, 5});
  const auto h = std::make_shared<BiasedOperator>(inner, random_vector(4 * 3, 8), 3);
  EXPECT_EQ(h->state_size(), 10u);
  check_zero_stays_zero(map_of(h));
  check_linearity(map_of(h));
  check_tangent(map_of(h));
  check_adjoint(map_of(h));
  EXPECT_THROW(BiasedOperator(inner, Vector(5), 3), Error);
}

}  // namespace
}  // namespace zonda::assimilation
