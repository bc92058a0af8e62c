#include "assimilation/diagnostics/ensemble_scores.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "postproc/verification/ensemble.hpp"

namespace zonda::assimilation {
namespace {

/// Every how many points a rank is counted: neighbours tell nothing new.
constexpr std::size_t rank_stride = 3;

}  // namespace

std::vector<EnsembleScore> score_ensemble(const Grid& grid, std::size_t channels,
                                          std::span<const std::vector<float>> members, std::span<const float> truth,
                                          std::uint64_t sample) {
  const std::size_t points = grid.size(), n = members.size();
  const std::span<const double> weights = grid.row_weights();
  std::vector<EnsembleScore> scores(channels);
  std::vector<double> values(n);
  for (std::size_t c = 0; c < channels; ++c) {
    postproc::RankHistogram ranks(n, 1 + c);
    double squared = 0, bias = 0, variance = 0, crps = 0;
    for (std::size_t i = 0; i < points; ++i) {
      for (std::size_t k = 0; k < n; ++k) values[k] = members[k][c * points + i];
      const double weight = weights[i / grid.nlon()] / static_cast<double>(points), y = truth[c * points + i];
      const postproc::EnsembleMoments moments = postproc::ensemble_moments(values);
      squared += weight * (moments.mean - y) * (moments.mean - y);
      bias += weight * (moments.mean - y);
      variance += weight * moments.variance;
      if (i % rank_stride == 0) ranks.add(values, y, sample * points + i, weights[i / grid.nlon()]);
      crps += weight * postproc::fair_crps(values, y);
    }
    scores[c] = {std::sqrt(squared), bias, std::sqrt(variance), crps, {}};
    if (n > 1) scores[c].ranks.assign(ranks.counts().begin(), ranks.counts().end());
  }
  return scores;
}

std::vector<double> ensemble_spread(const Grid& grid, std::size_t channels,
                                    std::span<const std::vector<float>> members) {
  const std::size_t points = grid.size();
  std::vector<double> values(members.size()), spread(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    double variance = 0;
    for (std::size_t i = 0; i < points; ++i) {
      for (std::size_t k = 0; k < members.size(); ++k) values[k] = members[k][c * points + i];
      variance += grid.row_weights()[i / grid.nlon()] / static_cast<double>(points) *
                  postproc::ensemble_moments(values).variance;
    }
    spread[c] = std::sqrt(variance);
  }
  return spread;
}

std::vector<float> mean_field(std::span<const std::vector<float>> members) {
  std::vector<double> sum(members.front().size());
  for (const std::vector<float>& member : members)
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += member[i];
  std::vector<float> mean(sum.size());
  for (std::size_t i = 0; i < sum.size(); ++i)
    mean[i] = static_cast<float>(sum[i] / static_cast<double>(members.size()));
  return mean;
}

void to_json(nlohmann::ordered_json& json, const EnsembleScore& score) {
  json = {{"error", score.error}, {"bias", score.bias}, {"spread", score.spread}, {"crps", score.crps}};
  if (!score.ranks.empty()) json["ranks"] = score.ranks;
}

}  // namespace zonda::assimilation
