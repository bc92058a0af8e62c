#pragma once
// Token levels of a student: passes whose middle blocks see fewer tokens, learnt beside the pass of all tokens with the
// same weights (as widths are in Yu & Huang 2019, arXiv:1903.05134: the full one in every step, others in turn).
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "model/network/forecast_network.hpp"
#include "model/training/distillation/distillation_step.hpp"

namespace zonda::model {

struct LevelConfig {
  double tokens = 0.5;  ///< share of the tokens
  int first_block = 0;
  std::optional<int> last_block{};  ///< behind them; default: the last
};

/// The levels on this network: at least as many tokens as can be merged into. Throws Error(usage) for blocks that are
/// not there.
std::vector<TokenMerging> token_levels(const std::vector<LevelConfig>& levels, const ForecastNetwork& network);

class LevelTraining {
 public:
  /// `losses` of a level, scaled by `weight`; of features none. The rest as DistillationStep's. `purpose` tells draws
  /// of the same seed apart.
  LevelTraining(ForecastNetwork& student, const ForecastStep& step, DistillLosses losses, double weight,
                const std::vector<float>& channel_weights, std::vector<TokenMerging> levels, std::uint64_t seed,
                std::string purpose, std::size_t batch, std::size_t count);
  struct Drawn {
    std::size_t level = 0;
    DistillationStep::Loss loss;  ///< `total` with the weight
  };
  /// Adds to the student's gradients those of the level drawn for optimiser step `number`: the same however often the
  /// run was stopped. None where there are no levels.
  std::optional<Drawn> add_gradient(std::uint64_t number, std::span<const DistillationSample> samples);

 private:
  ForecastNetwork& student_;
  const std::vector<TokenMerging> levels_;
  const std::uint64_t seed_;
  const std::string purpose_;
  const std::size_t batch_;
  std::optional<DistillationStep> step_;
};

/// RMSE at the lead that a level adds, in % of each variable's standard deviation.
struct LevelVerdict {
  TokenMerging level;
  struct Variable {
    std::string name;
    double rmse = 0, percent = 0;
  };
  std::vector<Variable> variables;
  double mean() const;
  const Variable& worst() const;
};
nlohmann::json to_json(const std::vector<LevelVerdict>& verdicts, double limit);
std::string to_text(const std::vector<LevelVerdict>& verdicts, double limit);

}  // namespace zonda::model
