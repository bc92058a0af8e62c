#include "inference/rollout/trajectory.hpp"

#include <algorithm>
#include <set>

#include "core/error.hpp"

namespace zonda::inference {

using model::ForecastLayout;
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

Trajectories::Trajectories(model::ForecastModel& model, const model::ForecastStep& step, const StepPlan& plan,
                           std::vector<Time> initial)
    : model_(model), step_(step), bounds_(model.layout), plan_(plan), initial_(std::move(initial)) {
  histories_.resize(plan_.strategy == Strategy::homogeneous_mean ? plan_.steps.size() : 1);
  const ForecastLayout& layout = model_.layout;
  input_.resize(initial_.size() * layout.input_channels() * layout.points());
  output_.resize(initial_.size() * layout.output_channels() * layout.points());
  condition_.resize(initial_.size() * ForecastLayout::condition_size);
  model_.network.plan(static_cast<int>(initial_.size()), model::Use::inference);
}

std::vector<Duration> Trajectories::leads_needed() const {
  std::vector<Duration> leads{Duration{0}};
  for (const Duration step : plan_.steps) leads.push_back(-step);
  return leads;
}

void Trajectories::give(Duration lead, const std::vector<float>& fields) {
  if (plan_.strategy == Strategy::homogeneous_mean) {
    for (std::size_t i = 0; i < histories_.size(); ++i)
      if (lead == Duration{0} || lead == -plan_.steps[i]) histories_[i][lead] = fields;
  } else {
    histories_[0][lead] = fields;
  }
}

void Trajectories::step_to(History& history, Duration d) {
  const ForecastLayout& layout = model_.layout;
  const std::size_t points = layout.points(), state = layout.output_channels() * points;
  const std::size_t input = layout.input_channels() * points, n = ForecastLayout::condition_size;
  const Duration from = lead_ - d;
  const std::vector<float>& previous = history.at(from - d);
  const std::vector<float>& current = history.at(from);
  std::vector<float> now(layout.forcings.size() * points), next(now.size());
  for (std::size_t s = 0; s < initial_.size(); ++s) {
    model::normalised_forcing(layout, initial_[s] + from, now);
    model::normalised_forcing(layout, initial_[s] + lead_, next);
    step_.assemble(std::span(previous).subspan(s * state, state), std::span(current).subspan(s * state, state), now,
                   next, std::span(input_).subspan(s * input, input));
    step_.condition(initial_[s] + from, d, from, std::span(condition_).subspan(s * n, n));
  }
  const std::vector<double> days(initial_.size(), std::chrono::duration<double, std::ratio<86400>>(from).count());
  model_.network.set_leads(days);
  const auto batch = static_cast<std::int64_t>(initial_.size());
  const auto nlat = static_cast<std::int64_t>(layout.grid.nlat()), nlon = static_cast<std::int64_t>(layout.grid.nlon());
  model_.network.forward(
      Tensor::of(input_, Shape{batch, static_cast<std::int64_t>(layout.input_channels()), nlat, nlon}),
      Tensor::of(condition_, Shape{batch, static_cast<std::int64_t>(n)}),
      Tensor::of(output_, Shape{batch, static_cast<std::int64_t>(layout.output_channels()), nlat, nlon}));
  std::vector<float>& made = history[lead_];
  made.resize(output_.size());
  for (std::size_t s = 0; s < initial_.size(); ++s) {
    const auto reached = std::span(made).subspan(s * state, state);
    step_.advance(std::span(output_).subspan(s * state, state), std::span(current).subspan(s * state, state), d,
                  reached);
    bounds_.apply(reached);
  }
}

void Trajectories::forget(History& history, Duration longest) {
  history.erase(history.begin(), history.lower_bound(lead_ - 2 * longest + plan_.steps.front()));
}

void Trajectories::advance() {
  lead_ += plan_.steps.front();
  if (plan_.strategy == Strategy::homogeneous_mean) {
    for (std::size_t i = 0; i < plan_.steps.size(); ++i)
      if (lead_ % plan_.steps[i] == Duration{0}) {
        step_to(histories_[i], plan_.steps[i]);
        histories_[i].erase(lead_ - 2 * plan_.steps[i]);
      }
    return;
  }
  Duration largest = plan_.steps.front();
  for (const Duration step : plan_.steps)
    if (lead_ % step == Duration{0}) largest = step;
  step_to(histories_[0], largest);
  forget(histories_[0], plan_.steps.back());
}

void Trajectories::forecast(std::vector<float>& out) const {
  out.assign(output_.size(), 0);
  std::size_t members = 0;
  for (const History& history : histories_) {
    const auto found = history.find(lead_);
    if (found == history.end()) continue;
    ++members;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += found->second[i];
  }
  const float share = 1.0F / static_cast<float>(members);
  for (float& value : out) value *= share;
}

}  // namespace zonda::inference
