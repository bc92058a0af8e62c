#include "model/training/training_phase.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"

namespace zonda::model {

std::vector<TrainingPhase> phases_of(const TrainConfig& c, std::span<const Duration> steps) {
  const std::vector<Duration> all(steps.begin(), steps.end()), largest{steps.back()};
  const auto batch_of = [&](int batch) { return batch ? batch : c.batch; };
  const auto lengths_of = [](std::vector<Duration> asked, const std::vector<Duration>& otherwise) {
    std::sort(asked.begin(), asked.end());
    return asked.empty() ? otherwise : asked;
  };
  std::optional<double> budget;
  if (c.minutes) budget = 60 * *c.minutes;
  std::vector<TrainingPhase> phases{{PhaseKind::single_steps,
                                     "single steps",
                                     c.steps,
                                     c.batch,
                                     {},
                                     {c.learning_rate, c.final_learning_rate, c.warm_up},
                                     budget,
                                     all}};
  if (c.rollout)
    phases.push_back({PhaseKind::rollouts,
                      "rollouts",
                      c.rollout->steps,
                      batch_of(c.rollout->batch),
                      {.count = c.rollout->lead_steps, .through = true, .falling = c.rollout->weights == "falling"},
                      {c.rollout->learning_rate, 0, c.rollout->warm_up},
                      std::nullopt,
                      lengths_of(c.rollout->step_lengths, largest)});
  if (c.replay)
    phases.push_back({PhaseKind::replay,
                      "replay",
                      c.replay->steps,
                      batch_of(c.replay->batch),
                      {},
                      {c.replay->learning_rate, 0, c.replay->warm_up},
                      std::nullopt,
                      lengths_of(c.replay->step_lengths, all)});
  if (c.adapters)
    phases.push_back({PhaseKind::adapters,
                      "adapters",
                      c.adapters->steps,
                      batch_of(c.adapters->batch),
                      {.count = c.adapters->lead_steps, .through = false},
                      {c.adapters->learning_rate, 0, c.adapters->warm_up},
                      std::nullopt,
                      lengths_of(c.adapters->step_lengths, largest)});
  return phases;
}

int TrainingPhase::longest_lead_steps(const TrainConfig& config) const {
  return kind == PhaseKind::replay ? config.replay->lead_steps - 1 : unrolling.count - 1;
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
    Duration least = longest + std::max(longest, c.validation.lead);
    for (const Duration lead : c.validation.curve) least = std::max(least, longest + lead);
    p.validation_first = p.last - std::max(least, Duration{static_cast<std::int64_t>(length * c.validation.fraction)});
    p.last = p.validation_first;
  }
  return p;
}

std::vector<Example> phase_examples(const TrainConfig& c, std::span<const Time> times, const TrainingPeriods& periods,
                                    const TrainingPhase& phase) {
  std::vector<Example> examples =
      examples_within(times, periods.first, periods.last, phase.step_lengths, phase.unrolling.count);
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
