// LETKF analyses of the size of the embedded atmosphere: 96x48 points, 8 levels, 5 variables, 20 members, 3000
// observations (and ten times as many); localisation 1000 km and 0.1 in ln p. Beside it the eigensolver alone,
// weights interpolated from every third row and column, and the busiest of 1 to 4 ranks.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <ctime>

#include "assimilation/ensemble/atmosphere_batches.hpp"
#include "assimilation/ensemble/ensemble_transform.hpp"
#include "assimilation/ensemble/letkf.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

constexpr std::size_t nlon = 96, nlat = 48, levels = 8, variables = 5, members = 20;
constexpr std::size_t points = nlon * nlat * levels;

const AtmosphereLayout& layout() {
  static const AtmosphereLayout atmosphere = [] {
    const std::vector<std::string> names{"u", "v", "t", "q", "z"};
    Vector sigma;
    for (std::size_t k = 0; k < levels; ++k) sigma.push_back(std::exp(-0.3 * static_cast<double>(levels - k)));
    const std::vector<std::string> surface{"sp"};
    return sigma_layout(Grid::gaussian(nlat, nlon), names, sigma, surface);
  }();
  return atmosphere;
}

Observations observations(std::size_t count) {
  const std::vector<Batch> batches = atmosphere_batches(layout());
  const Philox random(1, "observed points");
  std::vector<std::size_t> components;
  Observations result;
  for (std::size_t i = 0; i < count; ++i) {
    const Batch& batch = batches[random.integer(2 * i, batches.size())];
    components.push_back(batch.variables[random.integer(2 * i + 1, variables)]);
    result.positions.push_back(batch.position);
  }
  result.values = random_vector(count, 2);
  result.errors.assign(count, 1);
  result.instrument = std::make_shared<SelectedComponents>(layout().state_size(), components);
  return result;
}

Letkf letkf(const parallel::Communicator& communicator, std::size_t stride) {
  LetkfSettings settings;
  settings.inflation.to_perturbations = 0.5;
  return {communicator,
          layout().state_size(),
          atmosphere_batches(layout(), stride),
          {std::make_shared<SphereMetric>(), 1e6, 0.1},
          settings};
}

Ensemble background(parallel::Range own) {
  Ensemble ensemble(members, layout().state_size(), own);
  for (std::size_t k = 0; k < own.size(); ++k)
    copy(random_vector(layout().state_size(), 10 + own.begin + k), ensemble.member(k));
  return ensemble;
}

/// Arguments: observations; weights on every k-th row and column.
void letkf_analysis(benchmark::State& bench) {
  const Observations observed = observations(static_cast<std::size_t>(bench.range(0)));
  const Letkf filter = letkf(parallel::Communicator::self(), static_cast<std::size_t>(bench.range(1)));
  const Ensemble start = background({0, members});
  for (auto _ : bench) {
    Ensemble ensemble = start;
    filter.analyse(ensemble, observed, 0);
    benchmark::DoNotOptimize(ensemble.values().data());
  }
}
BENCHMARK(letkf_analysis)
    ->ArgNames({"observations", "stride"})
    ->Args({3000, 1})
    ->Args({3000, 3})
    ->Args({30000, 1})
    ->Args({30000, 3})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

double seconds_of_this_thread() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Argument: ranks, each a thread of its own. The time is the processor time of the busiest rank, so that ranks may
/// outnumber cores.
void busiest_rank(benchmark::State& bench) {
  const Observations observed = observations(3000);
  const int ranks = static_cast<int>(bench.range(0));
  for (auto _ : bench) {
    Vector seconds(static_cast<std::size_t>(ranks));
    parallel::run_on_threads(ranks, [&](const parallel::Communicator& communicator) {
      omp_set_num_threads(1);
      const auto rank = static_cast<std::size_t>(communicator.rank());
      Ensemble ensemble = background(parallel::partition(members, static_cast<std::size_t>(ranks), rank));
      const Letkf filter = letkf(communicator, 1);
      const double start = seconds_of_this_thread();
      filter.analyse(ensemble, observed, 0);
      seconds[rank] = seconds_of_this_thread() - start;
    });
    bench.SetIterationTime(*std::max_element(seconds.begin(), seconds.end()));
  }
}
BENCHMARK(busiest_rank)->ArgName("ranks")->DenseRange(1, 4)->Unit(benchmark::kMillisecond)->UseManualTime();

/// What the solves alone take on one thread: transform and update of 5 variables, so many observations a point.
void local_solves(benchmark::State& bench) {
  const std::size_t observed = static_cast<std::size_t>(bench.range(0));
  Vector anomalies = random_vector(observed * members, 3);
  const Vector departures = random_vector(observed, 4), start = random_vector(variables * members, 5);
  EnsembleTransform transform(members);
  for (auto _ : bench)
    for (std::size_t point = 0; point < points; ++point) {
      Vector state = start;
      transform.solve(anomalies, departures);
      transform.update({1, 0.5, 0}, state);
      benchmark::DoNotOptimize(state.data());
    }
}
BENCHMARK(local_solves)
    ->ArgName("observations")
    ->Arg(9)
    ->Arg(20)
    ->Arg(90)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

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
