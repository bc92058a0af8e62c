#pragma once
// From a table of observations to what the filters and variational methods take.
#include "assimilation/interfaces/observations.hpp"
#include "assimilation/observations/atmosphere_operator.hpp"
#include "assimilation/observations/distributed_operator.hpp"
#include "ingest/observations/observation_table.hpp"

namespace zonda::assimilation {

/// The times of a state's slots: `first`, `first + step` ...; one slot stands for all times (3D-Var).
struct TimeSlots {
  Time first{};
  Duration step{0};
  std::size_t count = 1;
  /// In slots from the first; 0 where there is one slot.
  double position(Time time) const;
  /// The nearest slot; halves go to the later one.
  std::size_t nearest(Time time) const;
  /// Within half a step of the slots (any time where there is one slot).
  bool within(Time time) const;
};

AtmosphericObservation observation_of(const ingest::ObservationTable& table, std::size_t entry, const TimeSlots& slots);

/// Rejects accepted entries that the state cannot give: `unsupported` variables, `window` and `domain`.
void reject_uncovered(ingest::ObservationTable& table, const AtmosphereLayout& layout, const TimeSlots& slots);

/// The accepted entries, which must be covered and have errors: positions are (longitude, latitude, ln p), those
/// at the surface at surface_pressure_by_height of the state's ground. `entries` says which. Throws Error(data).
struct SelectedObservations {
  Observations observations;
  std::vector<std::size_t> entries;
};
SelectedObservations select_observations(const ingest::ObservationTable& table, const AtmosphereLayout& layout,
                                         const TimeSlots& slots);
/// The same table on all ranks; they share the operator (variational methods). Collective.
SelectedObservations select_observations(const ingest::ObservationTable& table, const AtmosphereLayout& layout,
                                         const TimeSlots& slots, const parallel::Communicator& communicator);

/// The accepted entries whose time is nearest to each slot, for a Window that takes observations step by step: each
/// list observes a state of the layout, whose last slot is the present.
std::vector<SelectedObservations> select_by_slot(const ingest::ObservationTable& table, const AtmosphereLayout& layout,
                                                 const TimeSlots& slots);
std::vector<SelectedObservations> select_by_slot(const ingest::ObservationTable& table, const AtmosphereLayout& layout,
                                                 const TimeSlots& slots, const parallel::Communicator& communicator);

/// table.background = H(state) for the accepted entries, which must be covered.
void observe_background(ingest::ObservationTable& table, const AtmosphereLayout& layout, const TimeSlots& slots,
                        ConstView state);

}  // namespace zonda::assimilation
