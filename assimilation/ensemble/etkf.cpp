#include "assimilation/ensemble/etkf.hpp"

#include "assimilation/ensemble/ensemble_transform.hpp"

namespace zonda::assimilation {

void Etkf::analyse(Ensemble& ensemble, const Observations& observations, std::size_t) const {
  ensemble.require_whole("the ETKF");
  observations.check();
  const std::size_t members = ensemble.total(), p = observations.size();
  if (p == 0) return;
  Vector observed(members * p), mean(p), anomalies(p * members), departures(p);
  for (std::size_t k = 0; k < members; ++k) {
    const View values = View(observed).subspan(k * p, p);
    observations.instrument->apply(ensemble.member(k), values);
    axpy(1 / static_cast<double>(members), values, mean);
  }
  for (std::size_t i = 0; i < p; ++i) {
    departures[i] = (observations.values[i] - mean[i]) / observations.errors[i];
    for (std::size_t k = 0; k < members; ++k)
      anomalies[i * members + k] = (observed[k * p + i] - mean[i]) / observations.errors[i];
  }
  EnsembleTransform transform(members);
  transform.solve(anomalies, departures);
  Vector variable(members);
  for (std::size_t i = 0; i < ensemble.state_size(); ++i) {
    for (std::size_t k = 0; k < members; ++k) variable[k] = ensemble.member(k)[i];
    transform.update(inflation_, variable);
    for (std::size_t k = 0; k < members; ++k) ensemble.member(k)[i] = variable[k];
  }
}

}  // namespace zonda::assimilation
