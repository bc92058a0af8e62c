#include "assimilation/observations/atmosphere_observations.hpp"

#include <cmath>
#include <functional>
#include <limits>

#include "assimilation/observations/horizontal_stencil.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {

double TimeSlots::position(Time time) const {
  if (count == 1 || step.count() == 0) return 0;
  return static_cast<double>((time - first).count()) / static_cast<double>(step.count());
}

std::size_t TimeSlots::nearest(Time time) const {
  const double at = std::floor(position(time) + 0.5);
  return static_cast<std::size_t>(std::min(std::max(at, 0.0), static_cast<double>(count - 1)));
}

bool TimeSlots::within(Time time) const {
  const double at = position(time);
  return count == 1 || (at >= -0.5 && at < static_cast<double>(count) - 0.5);
}

AtmosphericObservation observation_of(const ingest::ObservationTable& table, std::size_t i, const TimeSlots& slots) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  return {
      table.info(i).short_name,
      {table.latitude[i], table.longitude[i], table.pressure[i], table.height[i], none, slots.position(table.time[i])}};
}

void reject_uncovered(ingest::ObservationTable& table, const AtmosphereLayout& layout, const TimeSlots& slots) {
  AtmosphereLayout timed = layout;
  timed.slots = slots.count;
  std::vector<std::size_t> entries;
  std::vector<AtmosphericObservation> observations;
  for (const std::size_t i : table.used()) {
    if (!can_observe(table.info(i).short_name, layout)) {
      table.reject(i, ingest::QualityFlag::unsupported);
    } else if (slots.position(table.time[i]) < 0 ||
               slots.position(table.time[i]) > static_cast<double>(slots.count - 1)) {
      table.reject(i, ingest::QualityFlag::window);
    } else {
      entries.push_back(i);
      observations.push_back(observation_of(table, i, slots));
    }
  }
  const std::vector<bool> inside = covered(timed, observations);
  for (std::size_t n = 0; n < entries.size(); ++n)
    if (!inside[n]) table.reject(entries[n], ingest::QualityFlag::domain);
}

namespace {

using Operators = std::function<std::shared_ptr<const ObservationOperator>(const AtmosphereLayout&,
                                                                           const std::vector<AtmosphericObservation>&)>;

std::shared_ptr<const ObservationOperator> whole(const AtmosphereLayout& layout,
                                                 const std::vector<AtmosphericObservation>& list) {
  return std::make_shared<AtmosphereOperator>(layout, list);
}

Operators shared_by(const parallel::Communicator& communicator) {
  return [&communicator](const AtmosphereLayout& layout, const std::vector<AtmosphericObservation>& list) {
    return std::make_shared<DistributedOperator>(
        communicator, layout.state_size(), list.size(), [&](parallel::Range range) {
          return std::make_shared<AtmosphereOperator>(layout, std::span(list).subspan(range.begin, range.size()));
        });
  };
}

SelectedObservations select(const ingest::ObservationTable& table, const AtmosphereLayout& layout,
                            const TimeSlots& slots, std::vector<std::size_t> entries, const Operators& make,
                            bool of_the_present = false) {
  std::vector<AtmosphericObservation> list;
  SelectedObservations selected;
  const auto surface_at = [&](std::size_t i) {
    double height = 0;
    if (const auto place = horizontal_stencil(layout.grid, table.latitude[i], table.longitude[i]);
        place && !layout.orography.empty())
      for (std::size_t c = 0; c < 4; ++c) height += place->weight[c] * layout.orography[place->index[c]];
    return surface_pressure_by_height(height);
  };
  for (const std::size_t i : entries) {
    list.push_back(observation_of(table, i, slots));
    if (of_the_present) list.back().point.slot = static_cast<double>(slots.count - 1);
    selected.observations.values.push_back(table.value[i]);
    selected.observations.errors.push_back(table.error[i]);
    selected.observations.positions.push_back(
        {table.longitude[i], table.latitude[i], std::log(table.pressure[i] > 0 ? table.pressure[i] : surface_at(i))});
  }
  selected.entries = std::move(entries);
  AtmosphereLayout timed = layout;
  timed.slots = slots.count;
  selected.observations.instrument = make(timed, list);
  selected.observations.check();
  return selected;
}

std::vector<SelectedObservations> by_slot(const ingest::ObservationTable& table, const AtmosphereLayout& layout,
                                          const TimeSlots& slots, const Operators& make) {
  std::vector<std::vector<std::size_t>> entries(slots.count);
  for (const std::size_t i : table.used()) {
    if (!slots.within(table.time[i])) fail(ErrorKind::data, "{}: outside the window", table.describe(i));
    entries[slots.nearest(table.time[i])].push_back(i);
  }
  std::vector<SelectedObservations> selected;
  const TimeSlots state{{}, slots.step, layout.slots};
  for (auto& list : entries) selected.push_back(select(table, layout, state, std::move(list), make, true));
  return selected;
}

}  // namespace

SelectedObservations select_observations(const ingest::ObservationTable& table, const AtmosphereLayout& layout,
                                         const TimeSlots& slots) {
  return select(table, layout, slots, table.used(), whole);
}

SelectedObservations select_observations(const ingest::ObservationTable& table, const AtmosphereLayout& layout,
                                         const TimeSlots& slots, const parallel::Communicator& communicator) {
  return select(table, layout, slots, table.used(), shared_by(communicator));
}

std::vector<SelectedObservations> select_by_slot(const ingest::ObservationTable& table, const AtmosphereLayout& layout,
                                                 const TimeSlots& slots) {
  return by_slot(table, layout, slots, whole);
}

std::vector<SelectedObservations> select_by_slot(const ingest::ObservationTable& table, const AtmosphereLayout& layout,
                                                 const TimeSlots& slots, const parallel::Communicator& communicator) {
  return by_slot(table, layout, slots, shared_by(communicator));
}

void observe_background(ingest::ObservationTable& table, const AtmosphereLayout& layout, const TimeSlots& slots,
                        ConstView state) {
  const std::vector<std::size_t> entries = table.used();
  std::vector<AtmosphericObservation> list;
  for (const std::size_t i : entries) list.push_back(observation_of(table, i, slots));
  AtmosphereLayout timed = layout;
  timed.slots = slots.count;
  const AtmosphereOperator h(std::move(timed), list);
  Vector values(entries.size());
  h.apply(state, values);
  for (std::size_t n = 0; n < entries.size(); ++n) table.background[entries[n]] = values[n];
}

}  // namespace zonda::assimilation
