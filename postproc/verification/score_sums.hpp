#pragma once
// The sums of a verification over initial times, and the scores made of them.
#include <cstddef>
#include <span>

#include "postproc/verification/scoring.hpp"

namespace zonda::postproc {

/// Sums over initial times for each lead, channel and region.
enum Quantity : std::size_t {
  forecast_square,
  forecast_bias,
  forecast_absolute,
  forecast_acc,
  forecast_activity,
  forecast_crps,
  forecast_variance,
  forecast_debiased,
  persistence_square,
  persistence_bias,
  persistence_absolute,
  persistence_acc,
  persistence_activity,
  climatology_square,
  climatology_bias,
  climatology_absolute,
  quantities
};

/// Where each sum is in one list of numbers, which ranks add up.
class ScoreSums {
 public:
  explicit ScoreSums(const ScoringPlan& plan);
  std::size_t width() const { return width_; }
  std::size_t members() const { return members_; }
  std::size_t waves() const { return waves_; }

  /// [quantities] of the first region; the others' follow.
  std::size_t regions(std::size_t lead, std::size_t channel) const {
    return (lead * plan_.channels.size() + channel) * plan_.regions.size() * quantities;
  }
  /// [2, waves]: the forecast's and the truth's.
  std::size_t spectrum(std::size_t lead, std::size_t spectral) const {
    return spectra_begin_ + (lead * plan_.spectral.size() + spectral) * 2 * waves_;
  }
  /// [members + 1], of ensembles.
  std::size_t ranks(std::size_t lead, std::size_t channel) const {
    return ranks_begin_ + (lead * plan_.channels.size() + channel) * (members_ + 1);
  }
  std::size_t samples(std::size_t lead) const { return samples_begin_ + lead; }

  ScoringResult result(std::span<const double> total) const;

 private:
  const ScoringPlan& plan_;
  std::size_t members_, waves_, spectra_begin_, ranks_begin_, samples_begin_, width_;
};

}  // namespace zonda::postproc
