#pragma once
// The truth of an observing-system simulation.
#include <filesystem>
#include <memory>
#include <optional>

#include "assimilation/atmosphere/atmosphere_model.hpp"
#include "ingest/archive/archive_reader.hpp"

namespace zonda::assimilation {

class Truth {
 public:
  virtual ~Truth() = default;
  /// Time goes forward only.
  virtual void go_to(Time time) = 0;
  /// As the model lays its states out, SI.
  virtual ConstView state() const = 0;
  /// The truth at a time that is not before the present; nothing where it is not known.
  virtual std::optional<Vector> at(Time time) const = 0;
  /// The same of a time before the present.
  virtual std::optional<Vector> past(Time time) const = 0;
  /// Continues from a state of an earlier run.
  virtual void restore(Time time, ConstView state) = 0;
};

/// A run of a model itself from `start` at `begin`: the model is perfect.
class ModelTruth final : public Truth {
 public:
  ModelTruth(AtmosphereModel model, Time begin, Vector start);
  void go_to(Time time) override;
  ConstView state() const override { return state_; }
  std::optional<Vector> at(Time time) const override;
  std::optional<Vector> past(Time) const override { return std::nullopt; }
  void restore(Time time, ConstView state) override;

 private:
  AtmosphereModel model_;
  Time time_;
  Vector state_;
};

/// The states of an archive, whose grid must be the model's.
class ArchiveTruth final : public Truth {
 public:
  /// Throws Error(data) naming what the archive lacks of the model's fields, or its other grid.
  ArchiveTruth(const std::filesystem::path& archive, const AtmosphereModel& model);
  void go_to(Time time) override;
  ConstView state() const override { return state_; }
  void restore(Time time, ConstView) override { go_to(time); }
  std::optional<Vector> at(Time time) const override;
  std::optional<Vector> past(Time time) const override { return at(time); }
  /// Throws Error(data) naming a time that is not there.
  Vector state_at(Time time) const;

 private:
  ingest::ArchiveReader archive_;
  AtmosphereLayout layout_;
  Duration step_;
  std::vector<std::pair<std::size_t, std::size_t>> places_;  ///< channel of the archive, offset in a slot
  Vector state_;
};

/// The state at `begin` becomes that at `time`. Throws Error(usage) unless that is a whole number of steps.
void step_to(const AtmosphereModel& model, Time begin, Time time, View state);
/// The same of each member of an ensemble.
void step_to(const AtmosphereModel& model, Time begin, Time time, std::span<const View> members);

}  // namespace zonda::assimilation
