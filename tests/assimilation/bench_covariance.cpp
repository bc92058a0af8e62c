// Background-error covariances of the size of the embedded atmosphere: 96x48 points, 8 levels of u, v, t, surface
// pressure, T30; an ensemble of 20 localised over 1000 km.
#include <benchmark/benchmark.h>

#include <cmath>

#include "assimilation/covariance/ensemble_covariance.hpp"
#include "assimilation/covariance/level_correlation.hpp"
#include "random_vectors.hpp"
#include "spectral_fixture.hpp"

namespace zonda::assimilation {
namespace {

const AtmosphereLayout& layout() {
  static const AtmosphereLayout atmosphere = [] {
    const std::vector<std::string> names{"u", "v", "t"}, surface{"sp"};
    Vector sigma;
    for (std::size_t k = 0; k < 8; ++k) sigma.push_back((static_cast<double>(k) + 0.5) / 8);
    return sigma_layout(Grid::gaussian(48, 96), names, sigma, surface);
  }();
  return atmosphere;
}

void multiply(benchmark::State& bench, const Covariance& covariance) {
  const Vector x = random_vector(covariance.size(), 1);
  Vector y(covariance.size());
  for (auto _ : bench) {
    covariance.multiply(x, y);
    benchmark::DoNotOptimize(y.data());
  }
  bench.counters["control"] = static_cast<double>(covariance.control_size());
}

void spectral(benchmark::State& bench) {
  multiply(bench, SpectralCovariance(layout(), known_statistics(layout(), 30)));
}
BENCHMARK(spectral)->Unit(benchmark::kMillisecond)->UseRealTime();

void localised_ensemble(benchmark::State& bench) {
  std::vector<Vector> anomalies;
  for (std::size_t k = 0; k < 20; ++k) anomalies.push_back(random_vector(layout().state_size(), 10 + k));
  multiply(bench,
           EnsembleCovariance(std::move(anomalies), std::make_shared<SharedLevelCorrelation>(
                                                        layout(), horizontal_localisation(layout().grid, 1e6), 0.5)));
}
BENCHMARK(localised_ensemble)->Unit(benchmark::kMillisecond)->UseRealTime();

void calibration(benchmark::State& bench) {
  const SpectralCovariance truth(layout(), known_statistics(layout(), 30));
  std::vector<Vector> samples;
  for (std::size_t k = 0; k < 30; ++k) samples.push_back(truth.randomise(1, "calibration", k));
  for (auto _ : bench) benchmark::DoNotOptimize(calibrate(layout(), samples).truncation);
}
BENCHMARK(calibration)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace zonda::assimilation
