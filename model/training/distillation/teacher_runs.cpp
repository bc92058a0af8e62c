#include "model/training/distillation/teacher_runs.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"

namespace zonda::model {

TeacherRuns::TeacherRuns(ForecastModel& teacher, const ingest::ArchiveReader& archive, const RegionalCrop& crop,
                         std::vector<std::size_t> blocks, std::size_t bytes)
    : teacher_(teacher),
      archive_(archive),
      crop_(crop),
      step_(teacher.layout),
      blocks_(std::move(blocks)),
      bound_(bytes) {
  require_inputs_of_model(teacher.layout, archive.grid(), archive.channels(), "the archive of distill");
  if (teacher.network.backend().memory().device() != Device::cpu)
    fail(ErrorKind::usage, "distill: the teacher runs on the CPU");
  TokenTap tap;
  tap.output = [this](std::size_t layer, const Tensor& tokens) {
    const auto at = std::find(blocks_.begin(), blocks_.end(), layer);
    if (!filling_ || at == blocks_.end()) return;
    const auto width = static_cast<std::size_t>(tokens.shape[1]);
    std::vector<float>& kept = filling_->features[static_cast<std::size_t>(at - blocks_.begin())];
    kept.resize(crop_.tokens() * width);
    crop_.token_rows({tokens.as<float>(), static_cast<std::size_t>(tokens.count())}, width, kept);
  };
  teacher_.network.set_tap(std::move(tap));
  teacher_.network.plan(1, Use::inference);
}

TeacherRuns::~TeacherRuns() {
  teacher_.network.set_tap({});
}

std::vector<float> TeacherRuns::whole_state(std::size_t time_index) const {
  std::vector<float> state(teacher_.layout.channels.size() * teacher_.layout.points());
  archive_.read(time_index, 0, teacher_.layout.grid.nlat(), state);
  if (const int bad = teacher_.layout.normalisation.normalise(state); bad >= 0)
    fail(ErrorKind::data, "archive: {} at {} has a value that is not finite",
         teacher_.layout.channels[static_cast<std::size_t>(bad)].name(), to_string(archive_.times()[time_index]));
  return state;
}

TeacherRuns::Field TeacherRuns::truth(std::size_t time_index) {
  if (const auto known = truths_.find(time_index); known != truths_.end()) return known->second;
  auto field = std::make_shared<std::vector<float>>(teacher_.layout.channels.size() * crop_.points());
  crop_.state(teacher_.layout, whole_state(time_index), *field);
  const std::size_t bytes = field->size() * sizeof(float);
  if (held_ + bytes > bound_) return field;
  held_ += bytes;
  return truths_[time_index] = std::move(field);
}

std::size_t TeacherRuns::bytes_of(const Run& run) const {
  std::size_t numbers = 0;
  for (const Pass& pass : run) {
    numbers += pass.state.size();
    for (const auto& feature : pass.features) numbers += feature.size();
  }
  return numbers * sizeof(float);
}

std::shared_ptr<const TeacherRuns::Run> TeacherRuns::run(const Example& example, std::size_t count, bool features) {
  const std::pair key{example.time_index, example.step.count()};
  const auto known = runs_.find(key);
  if (known != runs_.end() && known->second.run->size() >= count && (known->second.features || !features))
    return known->second.run;
  auto made = std::make_shared<const Run>(make(example, count, features));
  const std::size_t bytes = bytes_of(*made), before = known != runs_.end() ? bytes_of(*known->second.run) : 0;
  if (held_ - before + bytes > bound_) return made;
  held_ += bytes - before;
  runs_[key] = {features, made};
  return made;
}

void TeacherRuns::forget() {
  for (const auto& [key, kept] : runs_) held_ -= bytes_of(*kept.run);
  runs_.clear();
}

TeacherRuns::Run TeacherRuns::make(const Example& example, std::size_t count, bool features) {
  const ForecastLayout& layout = teacher_.layout;
  const Time start = archive_.times()[example.time_index];
  const auto before = archive_.find_time(start - example.step);
  if (!before) fail(ErrorKind::data, "archive: {} is missing", to_string(start - example.step));
  std::vector<float> previous = whole_state(*before), current = whole_state(example.time_index), next(current.size());
  std::vector<float> now(layout.forcings.size() * layout.points()), then(now.size());
  std::vector<float> u(layout.input_channels() * layout.points()), y(current.size());
  std::array<float, ForecastLayout::condition_size> condition{};
  const auto rows = static_cast<std::int64_t>(layout.grid.nlat()),
             columns = static_cast<std::int64_t>(layout.grid.nlon());
  const Tensor input = Tensor::of(u, {1, static_cast<std::int64_t>(layout.input_channels()), rows, columns});
  const Tensor output = Tensor::of(y, {1, static_cast<std::int64_t>(layout.output_channels()), rows, columns});
  const Tensor c = Tensor::of(std::span<float>(condition), {1, static_cast<std::int64_t>(condition.size())});
  Run run(count);
  for (std::size_t k = 0; k < count; ++k) {
    const Duration lead = static_cast<int>(k) * example.step;
    normalised_forcing(layout, start + lead, now);
    normalised_forcing(layout, start + lead + example.step, then);
    step_.assemble(previous, current, now, then, u);
    step_.condition(start + lead, example.step, lead, condition);
    run[k].features.resize(features ? blocks_.size() : 0);
    filling_ = features ? &run[k] : nullptr;
    const std::array<double, 1> days{static_cast<double>(lead.count()) / 86400};
    teacher_.network.set_leads(days);
    teacher_.network.forward(input, c, output);
    filling_ = nullptr;
    step_.advance(y, current, example.step, next);
    step_.bounds().apply(next, layout.points());
    run[k].state.resize(layout.channels.size() * crop_.points());
    crop_.state(layout, next, run[k].state);
    std::swap(previous, current);
    std::swap(current, next);
  }
  return run;
}

}  // namespace zonda::model
