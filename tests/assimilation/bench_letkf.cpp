// One LETKF analysis of the size of the embedded atmosphere: 96x48 points, 8 levels, 5 variables, 20 members,
// 3000 observations; localisation 1000 km and 0.1 in ln p. Beside it the eigensolver alone.
#include <benchmark/benchmark.h>

#include <Eigen/Dense>
#include <cmath>

#include "assimilation/ensemble/letkf.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

constexpr std::size_t nlon = 96, nlat = 48, levels = 8, variables = 5, members = 20, observed = 3000;
constexpr std::size_t points = nlon * nlat * levels, state_size = points * variables;

/// State [variable, level, lat, lon].
Position position(std::size_t point) {
  const std::size_t lon = point % nlon, lat = point / nlon % nlat, level = point / (nlon * nlat);
  return {3.75 * static_cast<double>(lon), 88.125 - 3.75 * static_cast<double>(lat), -0.3 * static_cast<double>(level)};
}

void letkf_analysis(benchmark::State& bench) {
  std::vector<Batch> batches;
  for (std::size_t point = 0; point < points; ++point) {
    batches.push_back({position(point), {}});
    for (std::size_t v = 0; v < variables; ++v) batches.back().variables.push_back(v * points + point);
  }
  const Philox random(1, "observed points");
  std::vector<std::size_t> components;
  Observations observations;
  for (std::size_t i = 0; i < observed; ++i) {
    components.push_back(random.integer(i, state_size));
    observations.positions.push_back(position(components.back() % points));
  }
  observations.values = random_vector(observed, 2);
  observations.errors.assign(observed, 1);
  observations.instrument = std::make_shared<SelectedComponents>(state_size, components);
  LetkfSettings settings;
  settings.inflation.to_perturbations = 0.5;
  const Letkf letkf(parallel::Communicator::self(), state_size, batches, {std::make_shared<SphereMetric>(), 1e6, 0.1},
                    settings);
  Ensemble background(members, state_size);
  for (std::size_t k = 0; k < members; ++k) copy(random_vector(state_size, 10 + k), background.member(k));
  for (auto _ : bench) {
    Ensemble ensemble = background;
    letkf.analyse(ensemble, observations, 0);
    benchmark::DoNotOptimize(ensemble.values().data());
  }
}
BENCHMARK(letkf_analysis)->Unit(benchmark::kMillisecond)->UseRealTime();

/// As many eigenproblems as there are points, on one thread.
void eigensolver_alone(benchmark::State& bench) {
  const Vector random = random_vector(members * members, 3);
  const Eigen::Map<const Eigen::MatrixXd> anomalies(random.data(), members, members);
  const Eigen::MatrixXd precision = anomalies * anomalies.transpose();
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(members);
  for (auto _ : bench)
    for (std::size_t point = 0; point < points; ++point) {
      eigen.compute(precision);
      benchmark::DoNotOptimize(eigen.eigenvectors().data());
    }
}
BENCHMARK(eigensolver_alone)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace zonda::assimilation
