#pragma once
// How near an ensemble comes to the truth, field by field.
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "core/grid.hpp"
#include "core/variables.hpp"

namespace zonda::assimilation {

/// Of one field at one time, area-weighted over the globe, SI.
struct EnsembleScore {
  double error = 0;   ///< root mean square error of the mean
  double bias = 0;    ///< mean minus truth
  double spread = 0;  ///< root of the mean unbiased variance; 0 for one member
  double crps = 0;
  std::vector<double> ranks;  ///< counts of the truth's rank among the members, [members + 1]; empty for one member
};

/// `members` [member][channel, lat, lon], `truth` [channel, lat, lon]; one score a channel. `sample` numbers the time:
/// ties of ranks are broken by it.
std::vector<EnsembleScore> score_ensemble(const Grid& grid, std::size_t channels,
                                          std::span<const std::vector<float>> members, std::span<const float> truth,
                                          std::uint64_t sample);

/// Spread alone, without a truth: [channel].
std::vector<double> ensemble_spread(const Grid& grid, std::size_t channels,
                                    std::span<const std::vector<float>> members);

/// The mean field of the members.
std::vector<float> mean_field(std::span<const std::vector<float>> members);

void to_json(nlohmann::ordered_json& json, const EnsembleScore& score);

}  // namespace zonda::assimilation
