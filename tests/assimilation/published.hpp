#pragma once
// The settings of DAPPER's reproductions of published scores (Raanes et al. 2024, J. Open Source Softw. 9, 5150), and a
// mean over five seeds.
#include <gtest/gtest.h>

#include <fmt/core.h>
#include <cmath>
#include <functional>
#include <memory>

#include "assimilation/experiments/twin_experiment.hpp"
#include "assimilation/models/lorenz63.hpp"
#include "assimilation/models/lorenz96.hpp"
#include "assimilation/observations/selected_components.hpp"

namespace zonda::assimilation {

/// Lorenz-96, forcing 8, all observed with unit error variance every 0.05 (Sakov & Oke 2008).
inline TwinSetup lorenz96_setup(std::size_t size = 40, std::size_t cycles = 10'400, std::size_t steps_per_cycle = 1) {
  TwinSetup setup{std::make_shared<RungeKutta4>(std::make_shared<Lorenz96>(size), 0.05),
                  Vector(size),
                  std::sqrt(0.001),
                  steps_per_cycle,
                  std::make_shared<SelectedComponents>(size),
                  {},
                  1,
                  cycles,
                  400};
  setup.start[0] = 1;
  for (std::size_t i = 0; i < size; ++i) setup.positions.push_back({static_cast<double>(i), 0, 0});
  return setup;
}

/// Lorenz-63, all observed with error variance 2 every 0.25 (Sakov, Oliver & Bertino 2012).
inline TwinSetup lorenz63_setup() {
  return {std::make_shared<RungeKutta4>(std::make_shared<Lorenz63>(), 0.01),
          {1.509, -1.531, 25.46},
          std::sqrt(2.0),
          25,
          std::make_shared<SelectedComponents>(3),
          std::vector<Position>(3),
          std::sqrt(2.0),
          10'400,
          400};
}

/// Runs five seeds and records each score with the test.
inline double mean_error_of_five_seeds(const std::function<TwinScores(std::uint64_t seed)>& run) {
  double sum = 0;
  std::string errors, spreads;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const TwinScores scores = run(seed);
    sum += scores.analysis_error;
    errors += fmt::format("{:.4f} ", scores.analysis_error);
    spreads += fmt::format("{:.4f} ", scores.spread);
  }
  testing::Test::RecordProperty("errors", errors);
  testing::Test::RecordProperty("spreads", spreads);
  fmt::print("error {}spread {}mean {:.4f}\n", errors, spreads, sum / 5);
  return sum / 5;
}

}  // namespace zonda::assimilation
