#pragma once
// The observations of one cycle: read, checked against the background, and counted.
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "assimilation/atmosphere/atmosphere_model.hpp"
#include "assimilation/cycling/cycle_config.hpp"
#include "assimilation/ensemble/ensemble.hpp"
#include "assimilation/interfaces/observations.hpp"
#include "assimilation/observations/atmosphere_observations.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

struct CheckedObservations {
  ingest::ObservationTable table;  ///< every entry; background = mean of H of the members, where it is used
  ingest::ReadingAccount account;
  SelectedObservations selected;
  Vector spread;  ///< of the background members, [selected]
  /// `read`, `used`, `rejected` by reason, `values` by kind and variable. Throws Error(failure) unless read = used +
  /// rejected.
  nlohmann::ordered_json summary() const;
};

class ObservationStream {
 public:
  ObservationStream(const CycleConfig& config, const AtmosphereModel& model, bool perfect);
  /// The times that a state of the cycle at `time` stands for.
  TimeSlots slots(Time time) const;
  /// What the records of cycles at `times` do not count: `reports` of the files, read = used + rejected by reason, and
  /// `values` that lie in none of their windows.
  nlohmann::ordered_json beyond(const std::vector<Time>& times) const;
  /// `truth`: for synthetic observations. Every rank gets all entries. Collective.
  CheckedObservations at(Time time, std::size_t cycle, ConstView truth, const Ensemble& background,
                         const parallel::Communicator& communicator) const;
  /// table.analysis = H(state) of every entry that met the background, used or not. Returns those of `selected`.
  Vector observe_analysis(CheckedObservations& checked, Time time, ConstView state) const;

 private:
  bool is_in_window(std::size_t i, Time time) const;
  ingest::ReadObservations read(Time time, std::size_t cycle, ConstView truth) const;
  const CycleConfig& config_;
  AtmosphereLayout layout_;
  Duration step_, window_;
  bool perfect_;
  std::unique_ptr<SyntheticObservations> synthetic_;
  ingest::ReadObservations files_;
};

}  // namespace zonda::assimilation
