#include "model/training/distillation/token_levels.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/philox.hpp"

namespace zonda::model {

std::vector<TokenMerging> token_levels(const std::vector<LevelConfig>& levels, const ForecastNetwork& network) {
  const TokenGrid grid(network.grid(), network.shape().patch);
  const int blocks = network.shape().layers();
  std::vector<TokenMerging> resolved;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const int last = levels[i].last_block.value_or(blocks);
    if (levels[i].first_block >= last || last > blocks)
      fail(ErrorKind::usage, "distill.levels[{}]: blocks {} to {}, the student has {}", i, levels[i].first_block, last,
           blocks);
    const auto tokens = static_cast<std::int64_t>(std::lround(levels[i].tokens * static_cast<double>(grid.count())));
    resolved.push_back({levels[i].first_block, last, std::max(tokens, fewest_groups(grid))});
  }
  return resolved;
}

namespace {

DistillLosses of_level(DistillLosses losses, double weight) {
  for (double* one : {&losses.truth, &losses.teacher, &losses.spectral}) *one *= weight;
  losses.features = 0;
  return losses;
}

}  // namespace

LevelTraining::LevelTraining(ForecastNetwork& student, const ForecastStep& step, DistillLosses losses, double weight,
                             const std::vector<float>& channel_weights, std::vector<TokenMerging> levels,
                             std::uint64_t seed, std::string purpose, std::size_t batch, std::size_t count)
    : student_(student), levels_(std::move(levels)), seed_(seed), purpose_(std::move(purpose)), batch_(batch) {
  if (!levels_.empty()) step_.emplace(student, step, of_level(losses, weight), channel_weights, nullptr, batch, count);
}

std::optional<LevelTraining::Drawn> LevelTraining::add_gradient(std::uint64_t number,
                                                                std::span<const DistillationSample> samples) {
  if (levels_.empty()) return std::nullopt;
  const auto level =
      static_cast<std::size_t>(Philox(seed_, "token level, " + purpose_).integer(number, levels_.size()));
  const auto see = [&](const std::optional<TokenMerging>& merging) {
    student_.set_merging(merging);
    student_.plan(static_cast<int>(batch_), Use::training);
  };
  see(levels_[level]);
  const Drawn drawn{level, step_->gradient(samples, true)};
  see(std::nullopt);
  return drawn;
}

double LevelVerdict::mean() const {
  double sum = 0;
  for (const Variable& v : variables) sum += v.percent;
  return sum / static_cast<double>(variables.size());
}

const LevelVerdict::Variable& LevelVerdict::worst() const {
  return *std::max_element(variables.begin(), variables.end(),
                           [](const Variable& a, const Variable& b) { return a.percent < b.percent; });
}

nlohmann::json to_json(const std::vector<LevelVerdict>& verdicts, double limit) {
  nlohmann::json list = nlohmann::json::array();
  for (const LevelVerdict& verdict : verdicts) {
    nlohmann::json variables = nlohmann::json::array();
    for (const LevelVerdict::Variable& v : verdict.variables)
      variables.push_back({{"variable", v.name}, {"rmse", v.rmse}, {"percent_of_stddev", v.percent}});
    list.push_back({{"tokens", verdict.level.tokens},
                    {"first_block", verdict.level.first},
                    {"last_block", verdict.level.last},
                    {"limit_percent", limit},
                    {"mean_percent", verdict.mean()},
                    {"accepted", verdict.worst().percent <= limit},
                    {"variables", variables}});
  }
  return list;
}

std::string to_text(const std::vector<LevelVerdict>& verdicts, double limit) {
  std::string text;
  for (const LevelVerdict& verdict : verdicts) {
    text +=
        fmt::format("level of {} tokens in blocks {} to {}: RMSE added, % of the standard deviation (at most {:g}):",
                    verdict.level.tokens, verdict.level.first, verdict.level.last, limit);
    for (const LevelVerdict::Variable& v : verdict.variables) text += fmt::format(" {} {:.2f}", v.name, v.percent);
    text += fmt::format("; mean {:.2f}; {}\n", verdict.mean(),
                        verdict.worst().percent <= limit ? "accepted" : "not accepted");
  }
  return text;
}

}  // namespace zonda::model
