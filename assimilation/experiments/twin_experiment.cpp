#include "assimilation/experiments/twin_experiment.hpp"

#include "assimilation/ensemble/rotation.hpp"
#include "core/philox.hpp"

namespace zonda::assimilation {
namespace {

Vector draw(const TwinSetup& setup, std::uint64_t seed, std::size_t number) {
  const Philox random(seed, "initial state of a twin experiment");
  Vector state = setup.start;
  for (std::size_t i = 0; i < state.size(); ++i)
    state[i] += setup.initial_error * random.normal(number * state.size() + i);
  return state;
}

void advance(const TwinSetup& setup, std::size_t cycle, View state) {
  for (std::size_t s = 0; s < setup.steps_per_cycle; ++s) setup.model->step(cycle * setup.steps_per_cycle + s, state);
}

class Mean {
 public:
  void add(double value) {
    sum_ += value;
    ++count_;
  }
  double value() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }

 private:
  double sum_ = 0;
  std::size_t count_ = 0;
};

}  // namespace

Nature::Nature(const TwinSetup& setup, std::uint64_t seed) : setup_(setup), seed_(seed), truth_(draw(setup, seed, 0)) {}

void Nature::advance() {
  assimilation::advance(setup_, cycle_++, truth_);
}

Observations Nature::observe() const {
  const Philox random(seed_, "observation errors");
  const std::size_t p = setup_.instrument->size();
  Observations result{setup_.instrument, Vector(p), Vector(p, setup_.observation_error), setup_.positions};
  setup_.instrument->apply(truth_, result.values);
  for (std::size_t i = 0; i < p; ++i) result.values[i] += setup_.observation_error * random.normal(cycle_ * p + i);
  return result;
}

TwinScores run_ensemble(const TwinSetup& setup, const EnsembleExperiment& experiment, const EnsembleFilter& filter,
                        std::uint64_t seed) {
  Nature nature(setup, seed);
  Ensemble ensemble(experiment.members, setup.start.size());
  for (std::size_t k = 0; k < experiment.members; ++k) copy(draw(setup, seed, 1 + k), ensemble.member(k));
  Mean error, spread;
  for (std::size_t cycle = 0; cycle < setup.cycles; ++cycle) {
    nature.advance();
    for (std::size_t s = 0; s < setup.steps_per_cycle; ++s)
      ensemble.forecast(*setup.model, cycle * setup.steps_per_cycle + s);
    filter.analyse(ensemble, nature.observe(), cycle);
    if (experiment.rotate) rotate(ensemble, seed, cycle);
    if (cycle < setup.spin_up) continue;
    error.add(root_mean_square(difference(ensemble.mean(), nature.truth())));
    spread.add(ensemble.spread());
  }
  return {error.value(), spread.value()};
}

TwinScores run_state(const TwinSetup& setup, const StateAnalysis& analyse, std::uint64_t seed) {
  Nature nature(setup, seed);
  Vector state = draw(setup, seed, 1);
  Mean error;
  for (std::size_t cycle = 0; cycle < setup.cycles; ++cycle) {
    nature.advance();
    advance(setup, cycle, state);
    state = analyse(state, nature.observe());
    if (cycle >= setup.spin_up) error.add(root_mean_square(difference(state, nature.truth())));
  }
  return {error.value()};
}

std::vector<Vector> free_run(const TwinSetup& setup, std::size_t skip, std::size_t states, std::uint64_t seed) {
  Vector state = draw(setup, seed, 0);
  std::vector<Vector> result;
  for (std::size_t cycle = 0; cycle < skip + states; ++cycle) {
    advance(setup, cycle, state);
    if (cycle >= skip) result.push_back(state);
  }
  return result;
}

}  // namespace zonda::assimilation
