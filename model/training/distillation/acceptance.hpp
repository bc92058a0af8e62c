#pragma once
// A student against its teacher: RMSE on the interior of the region after one step and at a lead, and power spectra.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/forecast_state/forecast_model.hpp"
#include "model/training/distillation/distill_config.hpp"
#include "model/training/distillation/teacher_runs.hpp"

namespace zonda::model {

/// Of one variable at one lead; SI.
struct VariableScore {
  std::string variable;
  double teacher = 0, student = 0, persistence = 0;  ///< RMSE against the archive, on the interior, area-weighted
  double stddev = 0;                                 ///< of the archive's statistics, over the globe
  double regional_stddev = 0;                        ///< on the interior over the judged times
  /// How much the student is worse, in % of stddev.
  double percent() const { return 100 * (student - teacher) / stddev; }
};

/// Power of waves longer than four cells, by bands; least and largest ratio over them.
struct SpectrumScore {
  std::string variable;
  double low_of_teacher = 0, high_of_teacher = 0, low_of_truth = 0, high_of_truth = 0;
  double teacher_low = 0, teacher_high = 0;  ///< the teacher's own over the truth's
  std::vector<double> student_over_truth{};  ///< [band], longest waves first
};

struct Acceptance {
  std::size_t samples = 0, bands = 0;
  Duration step{0}, lead{0};
  std::vector<VariableScore> one_step{}, at_lead{};
  std::vector<double> wavelengths{};      ///< [band] cells, of the shortest wave
  std::vector<SpectrumScore> spectrum{};  ///< at the lead
  bool accepted(const AcceptanceConfig& limits) const;
};

/// Examples that are judged: `samples` of those with all states up to the lead within [first, last].
std::vector<Example> judged_examples(std::span<const Time> times, Time first, Time last, Duration step, Duration lead,
                                     int samples);

/// Rolls the student out from the archive's states, forced by the teacher's states: what a station has. `network`: the
/// student's, with weights. Verifies the boundary at each step.
Acceptance judge(ForecastNetwork& network, const ForecastLayout& layout, TeacherRuns& teacher,
                 std::span<const Time> times, std::span<const Example> examples, Duration lead);

/// What a level's scores have more of than those of all tokens.
LevelVerdict level_verdict(const TokenMerging& level, const Acceptance& scores, const Acceptance& all_tokens);

nlohmann::json to_json(const Acceptance& acceptance, const AcceptanceConfig& limits);
/// The table for people.
std::string to_text(const Acceptance& acceptance, const AcceptanceConfig& limits);

}  // namespace zonda::model
