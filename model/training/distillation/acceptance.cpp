#include "model/training/distillation/acceptance.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "model/forecast_state/regional_rollout.hpp"

namespace zonda::model {
namespace {

using nlohmann::json;

/// Area-weighted mean squared difference, SI squared.
double square(const Interior& interior, std::span<const float> x, std::span<const float> y, double unit) {
  double sum = 0;
  for (std::size_t i = 0; i < interior.size(); ++i) {
    const double error = (static_cast<double>(x[interior.cells()[i]]) - y[interior.cells()[i]]) * unit;
    sum += interior.weights()[i] * error * error;
  }
  return sum / static_cast<double>(interior.size());
}

/// Sums over the samples.
struct Sums {
  std::vector<VariableScore> scores;
  std::vector<double> mean, squares;  // of the truth on the interior
  std::size_t count = 0;
  explicit Sums(const ForecastLayout& layout) : mean(layout.channels.size()), squares(layout.channels.size()) {
    for (std::size_t c = 0; c < layout.channels.size(); ++c)
      scores.push_back({.variable = layout.channels[c].name(), .stddev = layout.normalisation.stddev[c]});
  }
  void add(const Interior& interior, std::size_t points, std::span<const float> student, std::span<const float> teacher,
           std::span<const float> truth, std::span<const float> start) {
    for (std::size_t c = 0; c < scores.size(); ++c) {
      VariableScore& score = scores[c];
      const auto of = [&](std::span<const float> state) { return state.subspan(c * points, points); };
      score.student += square(interior, of(student), of(truth), score.stddev);
      score.teacher += square(interior, of(teacher), of(truth), score.stddev);
      score.persistence += square(interior, of(start), of(truth), score.stddev);
      for (std::size_t i = 0; i < interior.size(); ++i) {
        const double value = static_cast<double>(of(truth)[interior.cells()[i]]) * score.stddev;
        mean[c] += value;
        squares[c] += value * value;
      }
    }
    count += 1;
  }
  std::vector<VariableScore> finished(const Interior& interior) {
    const auto n = static_cast<double>(count), values = n * static_cast<double>(interior.size());
    for (std::size_t c = 0; c < scores.size(); ++c) {
      for (double* rmse : {&scores[c].student, &scores[c].teacher, &scores[c].persistence})
        *rmse = std::sqrt(*rmse / n);
      const double m = mean[c] / values;
      scores[c].regional_stddev = std::sqrt(std::max(0.0, squares[c] / values - m * m));
    }
    return scores;
  }
};

/// Least and largest ratio of the bands that waves longer than four cells are in.
std::pair<double, double> extremes(std::span<const double> over, std::span<const double> under) {
  double low = INFINITY, high = 0;
  for (std::size_t b = 0; b < over.size(); ++b) {
    if (under[b] <= 0) continue;
    low = std::min(low, over[b] / under[b]);
    high = std::max(high, over[b] / under[b]);
  }
  return {low, high};
}

json to_json(const std::vector<VariableScore>& scores, Duration lead, double limit) {
  json list = json::array();
  for (const VariableScore& s : scores)
    list.push_back({{"variable", s.variable},
                    {"teacher_rmse", s.teacher},
                    {"student_rmse", s.student},
                    {"persistence_rmse", s.persistence},
                    {"stddev", s.stddev},
                    {"regional_stddev", s.regional_stddev},
                    {"percent_of_stddev", s.percent()},
                    {"percent_of_regional_stddev", 100 * (s.student - s.teacher) / s.regional_stddev}});
  return {{"lead_hours", static_cast<double>(lead.count()) / 3600}, {"limit_percent", limit}, {"variables", list}};
}

}  // namespace

bool Acceptance::accepted(const AcceptanceConfig& limits) const {
  const auto within = [](const std::vector<VariableScore>& scores, double percent) {
    return std::all_of(scores.begin(), scores.end(), [&](const VariableScore& s) { return s.percent() <= percent; });
  };
  return within(one_step, limits.one_step_percent) && within(at_lead, limits.lead_percent) &&
         std::all_of(spectrum.begin(), spectrum.end(), [&](const SpectrumScore& s) {
           return s.low_of_truth >= limits.spectrum_low && s.high_of_truth <= limits.spectrum_high;
         });
}

std::vector<Example> judged_examples(std::span<const Time> times, Time first, Time last, Duration step, Duration lead,
                                     int samples) {
  const std::vector<Example> all =
      examples_within(times, first, last, std::span(&step, 1), static_cast<int>(lead / step));
  if (lead < step || lead % step != Duration{0})
    fail(ErrorKind::usage, "distill.acceptance.lead: {} is no multiple of the step {}", to_string(lead),
         to_string(step));
  if (all.empty())
    fail(ErrorKind::data, "distill: no initial time between {} and {} has its states up to a lead of {}",
         to_string(first), to_string(last), to_string(lead));
  std::vector<Example> chosen;
  const std::size_t n = std::min(all.size(), static_cast<std::size_t>(samples));
  for (std::size_t i = 0; i < n; ++i) chosen.push_back(all[i * all.size() / n]);
  return chosen;
}

Acceptance judge(ForecastNetwork& network, const ForecastLayout& layout, TeacherRuns& teacher,
                 std::span<const Time> times, std::span<const Example> examples, Duration lead) {
  const ForecastStep step(layout);
  const Interior interior(layout.grid, step.ring());
  const CosineSpectrum spectrum(interior.rows(), interior.columns());
  const std::size_t points = layout.points(), channels = layout.channels.size(),
                    bands = spectrum.bands_down_to(shortest_resolved_wave);
  Sums first(layout), last(layout);
  enum { student, of_teacher, of_truth };
  std::vector<std::vector<double>> power(3 * channels, std::vector<double>(spectrum.bands()));
  std::vector<double> coefficients(spectrum.size());
  const NetworkPass pass = pass_of(network);
  Acceptance result{.samples = examples.size(), .bands = bands, .lead = lead};
  for (const Example& example : examples) {
    const auto count = static_cast<std::size_t>(lead / example.step);
    const auto ahead = [&](std::size_t k) {
      const Time time = times[example.time_index] + static_cast<int>(k) * example.step;
      return teacher.truth(
          static_cast<std::size_t>(std::lower_bound(times.begin(), times.end(), time) - times.begin()));
    };
    const Time before = times[example.time_index] - example.step;
    const auto run = teacher.run(example, count, false);
    const auto previous =
        teacher.truth(static_cast<std::size_t>(std::lower_bound(times.begin(), times.end(), before) - times.begin()));
    const auto start = teacher.truth(example.time_index);
    RegionalRollout rollout(layout, times[example.time_index], pass);
    rollout.give_state(-example.step, *previous);
    rollout.give_state(Duration{0}, *start);
    for (std::size_t k = 0; k < count; ++k) {
      std::vector<float> strip(step.strip_size());
      step.gather_strip((*run)[k].state, strip);
      rollout.give_boundary(static_cast<int>(k + 1) * example.step, std::move(strip));
    }
    for (std::size_t k = 0; k < count; ++k) {
      rollout.advance(example.step);
      if (k > 0 && k + 1 < count) continue;
      const auto truth = ahead(k + 1);
      if (k == 0) first.add(interior, points, rollout.state(), (*run)[k].state, *truth, *start);
      if (k + 1 < count) continue;
      last.add(interior, points, rollout.state(), (*run)[k].state, *truth, *start);
      for (std::size_t c = 0; c < channels; ++c)
        for (const auto& [which, state] : {std::pair{student, rollout.state()},
                                           {of_teacher, std::span<const float>((*run)[k].state)},
                                           {of_truth, std::span<const float>(*truth)}}) {
          spectrum.transform(interior.take(state.subspan(c * points, points)), coefficients);
          spectrum.add_power(coefficients, power[c * 3 + static_cast<std::size_t>(which)]);
        }
    }
    result.step = example.step;
  }
  for (std::size_t b = 0; b < bands; ++b) result.wavelengths.push_back(spectrum.wavelength(b));
  result.one_step = first.finished(interior);
  result.at_lead = last.finished(interior);
  for (std::size_t c = 0; c < channels; ++c) {
    const auto part = [&](int which) {
      return std::span<const double>(power[c * 3 + static_cast<std::size_t>(which)]).first(bands);
    };
    SpectrumScore score{.variable = layout.channels[c].name()};
    std::tie(score.low_of_teacher, score.high_of_teacher) = extremes(part(student), part(of_teacher));
    std::tie(score.low_of_truth, score.high_of_truth) = extremes(part(student), part(of_truth));
    std::tie(score.teacher_low, score.teacher_high) = extremes(part(of_teacher), part(of_truth));
    for (std::size_t b = 0; b < bands; ++b)
      score.student_over_truth.push_back(part(of_truth)[b] > 0 ? part(student)[b] / part(of_truth)[b] : 0);
    result.spectrum.push_back(score);
  }
  return result;
}

LevelVerdict level_verdict(const TokenMerging& level, const Acceptance& scores, const Acceptance& all_tokens) {
  LevelVerdict verdict{level, {}};
  for (std::size_t c = 0; c < scores.at_lead.size(); ++c) {
    const VariableScore &mine = scores.at_lead[c], &exact = all_tokens.at_lead[c];
    verdict.variables.push_back({mine.variable, mine.student, 100 * (mine.student - exact.student) / mine.stddev});
  }
  return verdict;
}

json to_json(const Acceptance& a, const AcceptanceConfig& limits) {
  json spectra = json::array();
  for (const SpectrumScore& s : a.spectrum)
    spectra.push_back({{"variable", s.variable},
                       {"over_teacher", {s.low_of_teacher, s.high_of_teacher}},
                       {"over_truth", {s.low_of_truth, s.high_of_truth}},
                       {"over_truth_by_band", s.student_over_truth},
                       {"teacher_over_truth", {s.teacher_low, s.teacher_high}}});
  return {
      {"initial_times", a.samples},
      {"boundary", "teacher"},
      {"rmse", {to_json(a.one_step, a.step, limits.one_step_percent), to_json(a.at_lead, a.lead, limits.lead_percent)}},
      {"spectrum",
       {{"bands", a.bands},
        {"shortest_wave_cells", a.wavelengths},
        {"limits", {limits.spectrum_low, limits.spectrum_high}},
        {"variables", spectra}}},
      {"accepted", a.accepted(limits)}};
}

std::string to_text(const Acceptance& a, const AcceptanceConfig& limits) {
  std::string text = fmt::format(
      "{} initial times, RMSE on the interior; difference in % of the standard deviation (at most {:g} and {:g}); "
      "power "
      "over the teacher's and the truth's\n{:<8}{:>12}{:>12}{:>8}{:>12}{:>12}{:>12}{:>8}{:>15}{:>15}\n",
      a.samples, limits.one_step_percent, limits.lead_percent, "", "teacher " + to_string(a.step), "student", "%",
      "teacher " + to_string(a.lead), "student", "persistence", "%", "power/teacher", "power/truth");
  for (std::size_t c = 0; c < a.one_step.size(); ++c) {
    const VariableScore &one = a.one_step[c], &two = a.at_lead[c];
    const SpectrumScore& s = a.spectrum[c];
    text +=
        fmt::format("{:<8}{:>12.4g}{:>12.4g}{:>8.2f}{:>12.4g}{:>12.4g}{:>12.4g}{:>8.2f}{:>15}{:>15}\n", one.variable,
                    one.teacher, one.student, one.percent(), two.teacher, two.student, two.persistence, two.percent(),
                    fmt::format("{:.2f} to {:.2f}", s.low_of_teacher, s.high_of_teacher),
                    fmt::format("{:.2f} to {:.2f}", s.low_of_truth, s.high_of_truth));
  }
  return text + (a.accepted(limits) ? "accepted\n" : "not accepted\n");
}

}  // namespace zonda::model
