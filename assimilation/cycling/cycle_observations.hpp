#pragma once
// The observations of one cycle: read, checked against the background, and counted.
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "assimilation/atmosphere/atmosphere_model.hpp"
#include "assimilation/cycling/cycle_config.hpp"
#include "assimilation/ensemble/ensemble.hpp"
#include "assimilation/interfaces/observations.hpp"
#include "assimilation/observations/atmosphere_observations.hpp"
#include "assimilation/quality_control/bias_correction.hpp"
#include "assimilation/variational/window.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

/// The observations of one analysis, and the states that they meet.
struct ObservationWindow {
  Time time;               ///< of the analysis
  Time begin, end;         ///< observations of [begin, end)
  std::size_t states = 0;  ///< from `begin` on, a model step apart; 0: one, of the analysis
  TimeSlots slots;         ///< of what is observed: a state, or those of the window one after another
};

struct CheckedObservations {
  ingest::ObservationTable table;  ///< every entry; background = mean of H of the members, where it is used
  ingest::ReadingAccount account;
  SelectedObservations selected;
  Vector spread;                  ///< of the background members, [selected]
  std::vector<TimeSlot> by_step;  ///< the same by the state nearest in time, where a window has several
  std::vector<std::vector<std::size_t>> entries_by_step;  ///< of the table, as by_step has them
  /// `read`, `used`, `rejected` by reason, `values` by kind and variable. Throws Error(failure) unless read = used +
  /// rejected.
  nlohmann::ordered_json summary() const;
};

class ObservationStream {
 public:
  /// Throws Error(usage) where `config.slot` is no step of the model.
  ObservationStream(const CycleConfig& config, const AnalysisConfig& analysis, const AtmosphereModel& model);
  /// Of the analysis at `time`. With slots, the first begins with the cycle.
  ObservationWindow window(Time time) const;
  /// At which the truth is observed; none where observations come from files.
  std::vector<Time> truth_times(const ObservationWindow& window) const;
  /// What the records of cycles at `times` do not count: `reports` of the files, read = used + rejected by reason, and
  /// `values` that lie in none of their windows.
  nlohmann::ordered_json beyond(const std::vector<Time>& times) const;
  /// `truths`: at truth_times(). `background`: members as `window.slots` has them. Every rank gets all entries.
  /// Collective.
  CheckedObservations at(const ObservationWindow& window, std::size_t cycle, const std::vector<Vector>& truths,
                         const Ensemble& background, const parallel::Communicator& communicator) const;
  /// table.analysis = H(state) of every entry that met the background, used or not. Returns those of `selected`.
  Vector observe_analysis(CheckedObservations& checked, const ObservationWindow& window, ConstView state) const;
  /// From the departures of the accepted entries, which have met the background; alike on all ranks.
  void learn_station_bias(const ingest::ObservationTable& table);
  /// For a restart, and null where stations are not corrected.
  nlohmann::ordered_json station_bias() const;
  void restore_station_bias(const nlohmann::ordered_json& record);

 private:
  bool is_in_window(std::size_t i, const ObservationWindow& window) const;
  AtmosphereLayout observed_layout(const ObservationWindow& window) const;
  ingest::ReadObservations read(const ObservationWindow& window, std::size_t cycle,
                                const std::vector<Vector>& truths) const;
  const CycleConfig& config_;
  AtmosphereLayout layout_;
  Duration step_, window_;
  bool perfect_, at_own_times_;
  std::unique_ptr<SyntheticObservations> synthetic_;
  std::optional<StationBias> station_bias_;
  ingest::ReadObservations files_;
};

}  // namespace zonda::assimilation
