#include "inference/rollout/trajectory.hpp"

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "inference/rollout/slab_fields.hpp"
#include "model/spectral/spectral_taper.hpp"

namespace zonda::inference {

using model::ForecastLayout;
using model::ForecastStep;
using model::Shape;
using model::Tensor;

StepPlan plan_steps(const std::string& strategy, std::span<const Duration> model_steps, Duration lead,
                    Duration output_step) {
  if (lead <= Duration{0} || output_step <= Duration{0} || lead % output_step != Duration{0})
    fail(ErrorKind::usage, "forecast: a lead of {} is no multiple of the output step {}", to_string(lead),
         to_string(output_step));
  StepPlan plan{Strategy::fixed, {}};
  for (const Duration step : model_steps)
    if (step <= lead) plan.steps.push_back(step);
  std::sort(plan.steps.begin(), plan.steps.end());
  std::vector<std::string> known{"mean", "largest-step"};
  for (const Duration step : model_steps) known.push_back(to_string(step));
  if (strategy == "mean" || strategy == "largest-step") {
    plan.strategy = strategy == "mean" ? Strategy::homogeneous_mean : Strategy::largest_step;
  } else {
    Duration asked{0};
    try {
      asked = parse_duration(strategy);
    } catch (const Error&) {
      asked = Duration{0};  // no duration: no step either
    }
    const auto named = std::find(model_steps.begin(), model_steps.end(), asked);
    if (named == model_steps.end())
      fail(ErrorKind::usage, "forecast.strategy: {}", unknown_word("strategy", strategy, known));
    plan.steps = {*named};
  }
  if (plan.steps.empty() || output_step % plan.steps.front() != Duration{0})
    fail(ErrorKind::usage, "forecast: an output step of {} cannot be reached with the model's steps ({})",
         to_string(output_step), plan.steps.empty() ? "all longer than the lead" : to_string(plan.steps.front()));
  // Steps that are no multiple of the smallest would meet the clock of leads at other times.
  std::erase_if(plan.steps, [&](Duration step) { return step % plan.steps.front() != Duration{0}; });
  return plan;
}

namespace {

Shape image_shape(const ForecastStep& step, std::size_t samples, std::size_t channels) {
  return {static_cast<std::int64_t>(samples), static_cast<std::int64_t>(channels),
          static_cast<std::int64_t>(step.rows().size()), static_cast<std::int64_t>(step.layout().grid.nlon())};
}

std::size_t known_channels(const ForecastLayout& layout) {
  return layout.static_channels.size() + 2 * layout.forcings.size();
}

}  // namespace

Trajectories::Trajectories(model::ForecastModel& model, const model::ForecastStep& step, const StepPlan& plan,
                           std::vector<TrajectoryStart> starts, TrajectoryOptions options)
    : model_(model),
      step_(step),
      plan_(plan),
      starts_(std::move(starts)),
      options_(options),
      scratch_(model.network.backend().memory()),
      known_(model.network.backend().memory(), image_shape(step, starts_.size(), known_channels(model.layout))),
      condition_(model.network.backend().memory(), {static_cast<std::int64_t>(starts_.size()),
                                                    static_cast<std::int64_t>(ForecastLayout::condition_size)}) {
  if (model.layout.boundary)
    fail(ErrorKind::usage,
         "a regional model on {} needs the boundary of a host at every step; this forecast is of global models",
         model.layout.grid.to_string());
  histories_.resize(plan_.strategy == Strategy::homogeneous_mean ? plan_.steps.size() : 1);
  const ForecastLayout& layout = model_.layout;
  model::Memory& memory = model.network.backend().memory();
  input_ = model::buffer_of(memory, image_shape(step_, starts_.size(), layout.input_channels()));
  output_ = take();
  const std::size_t record = known_channels(layout) * step_.points();
  for (std::size_t s = 0; s < starts_.size(); ++s)
    std::copy(step_.statics().begin(), step_.statics().end(), known_.host().subspan(s * record).begin());
  if (std::any_of(starts_.begin(), starts_.end(), [](const TrajectoryStart& start) { return start.member > 0; })) {
    if (model_.network.noise_size() == 0)
      fail(ErrorKind::usage,
           "members of an ensemble: the model has no noise (train.network.noise) that tells them apart");
    noise_.emplace(memory, Shape{static_cast<std::int64_t>(starts_.size()), model_.network.noise_size()});
  }
  model_.network.plan(static_cast<int>(starts_.size()), model::Use::inference);
}

Tensor Trajectories::state(const model::Buffer& buffer) const {
  return model::tensor_of(buffer, image_shape(step_, starts_.size(), model_.layout.output_channels()));
}

model::Buffer Trajectories::take() {
  if (free_.empty())
    return model::buffer_of(model_.network.backend().memory(),
                            image_shape(step_, starts_.size(), model_.layout.output_channels()));
  model::Buffer buffer = std::move(free_.back());
  free_.pop_back();
  return buffer;
}

std::vector<Duration> Trajectories::leads_needed() const {
  std::vector<Duration> leads{Duration{0}};
  for (const Duration step : plan_.steps) leads.push_back(-step);
  return leads;
}

void Trajectories::give(Duration lead, const std::vector<float>& fields) {
  for (std::size_t i = 0; i < histories_.size(); ++i) {
    if (plan_.strategy == Strategy::homogeneous_mean && lead != Duration{0} && lead != -plan_.steps[i]) continue;
    model::Buffer& given = histories_[i][lead] = take();
    given.memory().copy_in(given.data(), fields.data(), given.bytes());
  }
}

void Trajectories::assemble(model::Context& ctx, Duration from, Duration d, const Tensor& previous,
                            const Tensor& current) {
  const ForecastLayout& layout = model_.layout;
  const std::size_t points = step_.points(), record = known_channels(layout) * points;
  const std::size_t forcing = layout.forcings.size() * points, first = layout.static_channels.size() * points;
  constexpr std::size_t n = ForecastLayout::condition_size;
  for (std::size_t s = 0; s < starts_.size(); ++s) {
    const auto known = known_.host().subspan(s * record, record);
    model::normalised_forcing(layout, starts_[s].initial + from, step_.rows(), known.subspan(first, forcing));
    model::normalised_forcing(layout, starts_[s].initial + from + d, step_.rows(),
                              known.subspan(first + forcing, forcing));
    step_.condition(starts_[s].initial + from, d, from, condition_.host().subspan(s * n, n));
  }
  condition_.send();
  using model::InputPart;
  const auto statics = static_cast<std::int32_t>(layout.static_channels.size());
  ForecastStep::Terms terms = step_.input_terms(InputPart::statics);
  for (const auto& more :
       {step_.input_terms(InputPart::forcing_now, statics),
        step_.input_terms(InputPart::forcing_next, statics + static_cast<std::int32_t>(layout.forcings.size()))})
    terms.insert(terms.end(), more.begin(), more.end());
  const Tensor u = model::tensor_of(input_, image_shape(step_, starts_.size(), layout.input_channels()));
  ctx->map_channels(ctx, previous, step_.input_terms(InputPart::previous), u, false);
  ctx->map_channels(ctx, current, step_.input_terms(InputPart::current), u, true);
  if (!terms.empty()) ctx->map_channels(ctx, known_.send(), terms, u, true);
}

/// Of the step of length d from lead `from`: drawn for each member, initial time and step on their own.
Tensor Trajectories::noise_of(Duration from, Duration d) {
  if (!noise_) return {};
  const auto n = static_cast<std::size_t>(model_.network.noise_size());
  for (std::size_t s = 0; s < starts_.size(); ++s) {
    const std::span<float> numbers = noise_->host().subspan(s * n, n);
    std::fill(numbers.begin(), numbers.end(), 0.0F);
    if (starts_[s].member == 0) continue;
    const Philox random(options_.seed, fmt::format("forecast from {}, {} from lead {}", to_string(starts_[s].initial),
                                                   to_string(d), to_string(from)));
    const auto member = static_cast<std::uint64_t>(starts_[s].member);
    for (std::size_t i = 0; i < n; ++i) numbers[i] = static_cast<float>(random.normal(member * n + i));
  }
  return noise_->send();
}

void Trajectories::step_to(History& history, Duration d) {
  const Duration from = lead_ - d;
  const Tensor previous = state(history.at(from - d)), current = state(history.at(from)), y = state(output_);
  model::Context ctx(model_.network.backend(), scratch_, model::DType::f32);
  assemble(ctx, from, d, previous, current);
  const std::vector<double> days(starts_.size(), std::chrono::duration<double, std::ratio<86400>>(from).count());
  model_.network.set_leads(days);
  model_.network.forward(model::tensor_of(input_, image_shape(step_, starts_.size(), model_.layout.input_channels())),
                         condition_.tensor(), y, noise_of(from, d));
  const Tensor next = state(history[lead_] = take());
  step_.advance(ctx, y, {current, 0}, d, next);
  if (options_.taper) taper(current, next);
  if (options_.bounds) step_.bounds().apply(ctx, next);
}

/// next = current + tapered (next - current), of the channels that are fed back.
void Trajectories::taper(const Tensor& current, const Tensor& next) {
  const ForecastLayout& layout = model_.layout;
  model::Memory& memory = model_.network.backend().memory();
  const std::span<const float> before = model::on_host(current, memory, host_);
  host_next_.resize(before.size());
  memory.copy_out(host_next_.data(), next.data, next.bytes());
  const std::size_t points = step_.points(), channels = layout.channels.size();
  std::vector<std::size_t> tapered;  // first numbers of the fields
  for (std::size_t field = 0; field < starts_.size() * channels; ++field)
    if (!layout.channels[field % channels].info().accumulated) tapered.push_back(field * points);
  increments_.resize(tapered.size() * points);
  for (std::size_t f = 0; f < tapered.size(); ++f)
    for (std::size_t i = 0; i < points; ++i)
      increments_[f * points + i] = host_next_[tapered[f] + i] - before[tapered[f] + i];
  const auto apply = [this](std::span<float> fields) { options_.taper->apply(fields); };
  options_.slabs ? options_.slabs->with_whole_fields(increments_, apply) : apply(increments_);
  for (std::size_t f = 0; f < tapered.size(); ++f)
    for (std::size_t i = 0; i < points; ++i)
      host_next_[tapered[f] + i] = before[tapered[f] + i] + increments_[f * points + i];
  memory.copy_in(next.data, host_next_.data(), next.bytes());
}

void Trajectories::forget(History& history, Duration before) {
  while (!history.empty() && history.begin()->first < before) {
    free_.push_back(std::move(history.begin()->second));
    history.erase(history.begin());
  }
}

void Trajectories::advance() {
  lead_ += plan_.steps.front();
  if (plan_.strategy == Strategy::homogeneous_mean) {
    for (std::size_t i = 0; i < plan_.steps.size(); ++i)
      if (lead_ % plan_.steps[i] == Duration{0}) {
        step_to(histories_[i], plan_.steps[i]);
        forget(histories_[i], lead_ - plan_.steps[i]);
      }
    return;
  }
  Duration largest = plan_.steps.front();
  for (const Duration step : plan_.steps)
    if (lead_ % step == Duration{0}) largest = step;
  step_to(histories_[0], largest);
  forget(histories_[0], lead_ - 2 * plan_.steps.back() + plan_.steps.front());
}

void Trajectories::forecast(std::vector<float>& out) const {
  out.assign(static_cast<std::size_t>(state(output_).count()), 0);
  std::size_t rollouts = 0;
  for (const History& history : histories_) {
    const auto found = history.find(lead_);
    if (found == history.end()) continue;
    ++rollouts;
    const std::span<const float> values =
        model::on_host(state(found->second), model_.network.backend().memory(), host_);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += values[i];
  }
  const float share = 1.0F / static_cast<float>(rollouts);
  for (float& value : out) value *= share;
}

}  // namespace zonda::inference
