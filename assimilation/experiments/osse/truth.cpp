#include "assimilation/experiments/osse/truth.hpp"

#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {

void step_to(const AtmosphereModel& model, Time begin, Time time, std::span<const View> members) {
  if (time < begin || (time - begin) % model.step != Duration{0} || (begin - model.origin) % model.step != Duration{0})
    fail(ErrorKind::usage, "from {} to {} is no whole number of the model's steps of {}", to_string(begin),
         to_string(time), to_string(model.step));
  for (Time t = begin; t < time; t += model.step)
    model.model->step_members(static_cast<std::size_t>((t - model.origin) / model.step), members);
}

void step_to(const AtmosphereModel& model, Time begin, Time time, View state) {
  step_to(model, begin, time, std::span<const View>(&state, 1));
}

ModelTruth::ModelTruth(AtmosphereModel model, Time begin, Vector start)
    : model_(std::move(model)), time_(begin), state_(std::move(start)) {
  require_size("the truth", state_.size(), model_.layout.state_size());
}

void ModelTruth::go_to(Time time) {
  step_to(model_, time_, time, state_);
  time_ = time;
}

std::optional<Vector> ModelTruth::at(Time time) const {
  Vector state = state_;
  step_to(model_, time_, time, state);
  return state;
}

void ModelTruth::restore(Time time, ConstView state) {
  time_ = time;
  copy(state, state_);
}

ArchiveTruth::ArchiveTruth(const std::filesystem::path& archive, const AtmosphereModel& model)
    : archive_(archive), layout_(model.layout), step_(model.step), state_(model.layout.state_size()) {
  if (!(archive_.grid() == layout_.grid))
    fail(ErrorKind::data, "{}: the archive's grid is {}, the model's {}", archive.string(), archive_.grid().to_string(),
         layout_.grid.to_string());
  for (const LaidField& field : layout_.fields)
    for (std::size_t k = 0; k < field.offset.size(); ++k) {
      const Channel channel{field.variable, field.upper_air() ? static_cast<int>(std::lround(field.a[k] / 100)) : 0};
      const auto found = find_channel(archive_.channels(), channel);
      if (!found)
        fail(ErrorKind::data, "{}: the archive has no channel {}, which the model needs", archive.string(),
             channel.name());
      places_.emplace_back(*found, field.offset[k]);
    }
}

std::optional<Vector> ArchiveTruth::at(Time time) const {
  for (std::size_t slot = 0; slot < layout_.slots; ++slot)
    if (!archive_.find_time(time - static_cast<std::int64_t>(slot) * step_)) return std::nullopt;
  return state_at(time);
}

Vector ArchiveTruth::state_at(Time time) const {
  Vector state(layout_.state_size());
  std::vector<float> field(layout_.grid.size());
  for (std::size_t slot = 0; slot < layout_.slots; ++slot) {
    const Time when = time - static_cast<std::int64_t>(layout_.slots - 1 - slot) * step_;
    const auto index = archive_.find_time(when);
    if (!index)
      fail(ErrorKind::data, "the archive has no state at {}; it goes from {} to {}", to_string(when),
           to_string(archive_.times().front()), to_string(archive_.times().back()));
    for (const auto& [channel, offset] : places_) {
      archive_.read_channel(*index, channel, 0, layout_.grid.nlat(), field);
      std::copy(field.begin(), field.end(),
                state.begin() + static_cast<std::ptrdiff_t>(slot * layout_.slot_size + offset));
    }
  }
  return state;
}

void ArchiveTruth::go_to(Time time) {
  state_ = state_at(time);
}

}  // namespace zonda::assimilation
