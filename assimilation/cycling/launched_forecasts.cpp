#include "assimilation/cycling/launched_forecasts.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "assimilation/diagnostics/ensemble_scores.hpp"

namespace zonda::assimilation {

nlohmann::ordered_json score_launched_forecast(const LaunchConfig& config, const AtmosphereModel& model,
                                               const PressureFields& fields, const Truth& nature, Time time,
                                               ConstView analysis) {
  nlohmann::ordered_json record = nlohmann::ordered_json::object();
  const auto follow = [&](const char* source, Time begin, Vector state) {
    Time at = begin;
    for (Duration lead = config.output_step; lead <= config.lead; lead += config.output_step) {
      const std::optional<Vector> truth = nature.at(time + lead);
      if (!truth) break;
      step_to(model, at, time + lead, state);
      at = time + lead;
      const std::vector<std::vector<float>> forecast{fields.of(state)};
      const std::vector<float> target = fields.of(*truth);
      const std::vector<EnsembleScore> scores =
          score_ensemble(fields.grid(), fields.channels().size(), forecast, target, 0);
      const std::string hours = fmt::format("{}", std::chrono::duration_cast<std::chrono::hours>(lead).count());
      for (std::size_t c = 0; c < scores.size(); ++c)
        record[fields.channels()[c].name()][hours][source] = scores[c].error;
    }
  };
  follow("analysis", time, Vector(analysis.begin(), analysis.end()));
  if (const std::optional<Vector> old = nature.past(time - config.truth_age))
    follow("old_truth", time - config.truth_age, *old);
  return record;
}

}  // namespace zonda::assimilation
