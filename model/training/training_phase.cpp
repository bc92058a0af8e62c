#include "model/training/training_phase.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"

namespace zonda::model {

std::vector<TrainingPhase> phases_of(const TrainConfig& c, std::span<const Duration> steps) {
  std::vector<TrainingPhase> phases;
  std::optional<double> budget;
  if (c.minutes) budget = 60 * *c.minutes;
  phases.push_back({"single steps",
                    c.steps,
                    c.batch,
                    1,
                    {c.learning_rate, c.final_learning_rate, c.warm_up},
                    budget,
                    std::vector<Duration>(steps.begin(), steps.end())});
  if (c.rollout) {
    const RolloutConfig& r = *c.rollout;
    std::vector<Duration> lengths = r.step_lengths;
    if (lengths.empty()) lengths = {steps.back()};
    std::sort(lengths.begin(), lengths.end());
    phases.push_back({"rollouts",
                      r.steps,
                      r.batch ? r.batch : c.batch,
                      r.lead_steps,
                      {r.learning_rate, 0, r.warm_up},
                      std::nullopt,
                      lengths});
  }
  return phases;
}

TrainingPeriods periods_of(const TrainConfig& c, const ingest::Statistics& statistics) {
  TrainingPeriods p{};
  p.first = c.start.value_or(statistics.first);
  p.last = c.end.value_or(statistics.last);
  if (p.last <= p.first)
    fail(ErrorKind::usage, "train: the period from {} to {} is empty", to_string(p.first), to_string(p.last));
  if (c.validation.start) {
    p.validation_first = *c.validation.start;
    p.validation_last = *c.validation.end;
  } else {
    p.validation_last = p.last;
    const auto length = static_cast<double>((p.last - p.first).count());
    // However short the fraction is, one initial time with its earlier state and its truth fits.
    const Duration longest = *std::max_element(c.steps_between.begin(), c.steps_between.end());
    const Duration least = longest + std::max(longest, c.validation.lead);
    p.validation_first = p.last - std::max(least, Duration{static_cast<std::int64_t>(length * c.validation.fraction)});
    p.last = p.validation_first;
  }
  return p;
}

std::vector<Example> phase_examples(const TrainConfig& c, std::span<const Time> times, const TrainingPeriods& periods,
                                    const TrainingPhase& phase) {
  std::vector<Example> examples = examples_within(times, periods.first, periods.last, phase.step_lengths, phase.count);
  if (c.step_shares.empty()) return examples;
  std::vector<Example> repeated;
  for (const Example& example : examples) {
    const auto which =
        std::find(c.steps_between.begin(), c.steps_between.end(), example.step) - c.steps_between.begin();
    repeated.insert(repeated.end(), static_cast<std::size_t>(c.step_shares[static_cast<std::size_t>(which)]), example);
  }
  return repeated;
}

}  // namespace zonda::model
