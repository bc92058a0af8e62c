#include "assimilation/observations/atmosphere_observations.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "assimilation/observations/observation_errors.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

using ingest::Observation;
using ingest::ObservationTable;
using ingest::QualityFlag;
using ingest::ReportKind;

Observation entry(const char* variable, double latitude, double pressure, const char* time) {
  Observation made;
  made.station = "A";
  made.kind = ReportKind::temp;
  made.latitude = latitude;
  made.longitude = 7;
  made.pressure = pressure;
  made.time = parse_time(time);
  made.variable = ingest::variable_number(variable);
  made.value = 250;
  return made;
}

ObservationTable table_of(const std::vector<Observation>& entries) {
  ObservationTable table;
  for (const Observation& one : entries) table.add(one);
  return table;
}

AtmosphereLayout layout() {
  const std::vector<Channel> channels{{"t", 300}, {"t", 500}, {"t", 850}, {"2t", 0}};
  return channel_layout(Grid::regional(60, 30, 7, 0, 20, 5), channels);
}

const TimeSlots hours{parse_time("2020-01-01"), Duration(3600), 4};

TEST(ObservationErrors, come_from_the_entry_the_configuration_or_the_tables) {
  ObservationTable table = table_of({entry("t", 50, 5e4, "2020-01-01"), entry("t", 50, 5e4, "2020-01-01"),
                                     entry("2t", 50, NAN, "2020-01-01"), entry("tcwv", 50, NAN, "2020-01-01")});
  table.error[1] = 3;
  assign_errors(table, {{{"2t", 1.5}}, {{"t", 4}}, 2});
  EXPECT_DOUBLE_EQ(table.error[0], 2 * std::hypot(1.2, 4));
  EXPECT_DOUBLE_EQ(table.error[1], 10);
  EXPECT_DOUBLE_EQ(table.error[2], 3);
  EXPECT_EQ(table.flag[3], QualityFlag::unsupported);
}

TEST(ObservationErrors, are_linear_in_ln_p_and_constant_beyond_the_tables) {
  const auto of = [](double p) { return standard_observation_error(ReportKind::temp, "t", p); };
  EXPECT_DOUBLE_EQ(of(5e4), 1.2);
  EXPECT_DOUBLE_EQ(of(110000), 1.7);
  EXPECT_DOUBLE_EQ(of(500), 2.5);
  EXPECT_NEAR(of(100 * std::sqrt(500.0 * 700)), (1.2 + 1.3) / 2, 1e-12);
  EXPECT_DOUBLE_EQ(standard_observation_error(ReportKind::aircraft, "u", 25000), 4);
  EXPECT_DOUBLE_EQ(standard_observation_error(ReportKind::satellite, "u", 85000), 2);
  EXPECT_NEAR(standard_observation_error(ReportKind::synop, "sp", NAN), 84, 0.5);  // 7 m
  EXPECT_NEAR(standard_observation_error(ReportKind::ship, "msl", NAN), 138, 0.5);
  EXPECT_TRUE(std::isnan(standard_observation_error(ReportKind::temp, "cape", 5e4)));
  EXPECT_TRUE(std::isnan(of(NAN)));
  const double low = standard_observation_error(ReportKind::temp, "q", 1e5),
               high = standard_observation_error(ReportKind::temp, "q", 3e4);
  EXPECT_NEAR(low, 2.1e-3, 2e-4);  // a fifth of 10.7 g/kg at 14 C
  EXPECT_LT(high, 1e-4);
}

TEST(TimeSlots, place_observations) {
  EXPECT_EQ(hours.position(parse_time("2020-01-01T01:30")), 1.5);
  EXPECT_EQ(hours.nearest(parse_time("2020-01-01T01:30")), 2u);
  EXPECT_EQ(hours.nearest(parse_time("2019-12-31")), 0u);
  EXPECT_TRUE(hours.within(parse_time("2019-12-31T23:30")));
  EXPECT_FALSE(hours.within(parse_time("2020-01-01T03:30")));
  EXPECT_TRUE(TimeSlots{}.within(parse_time("1900-01-01")));
}

TEST(AtmosphereObservations, say_why_the_state_cannot_give_an_entry) {
  ObservationTable table = table_of({entry("t", 50, 5e4, "2020-01-01T01"), entry("t", 20, 5e4, "2020-01-01T01"),
                                     entry("t", 50, 1e4, "2020-01-01T01"), entry("t", 50, 5e4, "2020-01-01T04"),
                                     entry("u", 50, 5e4, "2020-01-01T01"), entry("2t", 50, NAN, "2020-01-01T01")});
  reject_uncovered(table, layout(), hours);
  using enum QualityFlag;
  EXPECT_EQ(table.flag, (std::vector<QualityFlag>{accepted, domain, domain, window, unsupported, accepted}));
}

TEST(AtmosphereObservations, are_what_the_filters_take) {
  ObservationTable table = table_of({entry("t", 50, 5e4, "2020-01-01T00:30"), entry("2t", 40, NAN, "2020-01-01T03")});
  assign_errors(table);
  const AtmosphereLayout atmosphere = layout();
  AtmosphereLayout timed = atmosphere;
  timed.slots = 4;
  Vector state(timed.state_size());
  for (std::size_t s = 0; s < 4; ++s)
    std::fill_n(state.begin() + static_cast<std::ptrdiff_t>(s * timed.slot_size), timed.slot_size,
                240.0 + static_cast<double>(s));
  const SelectedObservations selected = select_observations(table, atmosphere, hours);
  EXPECT_EQ(selected.entries, (std::vector<std::size_t>{0, 1}));
  const Vector departures = selected.observations.departures(state);
  EXPECT_NEAR(departures[0], 250 - 240.5, 1e-12);
  EXPECT_NEAR(departures[1], 250 - 243, 1e-12);
  EXPECT_EQ(selected.observations.positions[0], (Position{7, 50, std::log(5e4)}));
  EXPECT_EQ(selected.observations.positions[1], (Position{7, 40, std::log(1e5)}));
  observe_background(table, atmosphere, hours, state);
  EXPECT_NEAR(table.background[0], 240.5, 1e-12);

  const auto by_slot = select_by_slot(table, atmosphere, hours);
  ASSERT_EQ(by_slot.size(), 4u);
  EXPECT_TRUE(by_slot[0].entries.empty());
  EXPECT_EQ(by_slot[1].entries, std::vector<std::size_t>{0});
  EXPECT_EQ(by_slot[3].observations.instrument->state_size(), atmosphere.slot_size);
}

/// An observation at the ground is where the ground is, for a station on a plateau far above 1000 hPa.
TEST(AtmosphereObservations, at_the_surface_are_placed_at_its_height) {
  AtmosphereLayout plateau = layout();
  plateau.orography.assign(plateau.grid.size(), 4000);
  ObservationTable table = table_of({entry("2t", 40, NAN, "2020-01-01"), entry("t", 40, 5e4, "2020-01-01")});
  assign_errors(table);
  const auto positions = select_observations(table, plateau, TimeSlots{}).observations.positions;
  EXPECT_NEAR(std::exp(positions[0].z), 608e2, 2e2);
  EXPECT_EQ(positions[1].z, std::log(5e4));
}

/// Ranks that share the operator see what one rank alone sees.
TEST(AtmosphereObservations, are_the_same_where_ranks_share_them) {
  std::vector<Observation> entries;
  for (int i = 0; i < 40; ++i)
    entries.push_back(entry(i % 5 ? "t" : "2t", 32 + 0.6 * i, i % 5 ? 4e4 + 500 * i : NAN, "2020-01-01T01:30"));
  ObservationTable table = table_of(entries);
  assign_errors(table);
  AtmosphereLayout timed = layout();
  timed.slots = 4;
  Vector state(timed.state_size()), from(40), expected(timed.state_size());
  for (std::size_t i = 0; i < state.size(); ++i) state[i] = 250 + static_cast<double>(i % 17);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = std::sin(static_cast<double>(i));
  const SelectedObservations alone = select_observations(table, layout(), hours);
  alone.observations.instrument->adjoint(state, from, expected);
  parallel::run_on_threads(3, [&](const parallel::Communicator& communicator) {
    const SelectedObservations shared = select_observations(table, layout(), hours, communicator);
    EXPECT_EQ(shared.entries, alone.entries);
    EXPECT_EQ(shared.observations.departures(state), alone.observations.departures(state));
    Vector found(timed.state_size());
    shared.observations.instrument->adjoint(state, from, found);
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-14);
    EXPECT_EQ(select_by_slot(table, layout(), hours, communicator)[2].entries.size(), 40u);
  });
}

}  // namespace
}  // namespace zonda::assimilation
