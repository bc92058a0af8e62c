#include "model/training/distillation/int8_gate.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.hpp"
#include "model/forecast_state/regional_rollout.hpp"
#include "model/network/linear.hpp"
#include "model/training/distillation/field_loss.hpp"

namespace zonda::model {
namespace {

using nlohmann::json;

/// States at the lead, one for each example.
using Forecasts = std::vector<std::vector<float>>;

class Calibration {
 public:
  Calibration(const ForecastLayout& layout, TeacherRuns& teacher, std::span<const Time> times,
              std::span<const Example> examples, Duration lead)
      : layout_(layout),
        step_(layout),
        interior_(layout.grid, step_.ring()),
        teacher_(teacher),
        times_(times),
        examples_(examples),
        lead_(lead) {}

  Forecasts forecasts(ForecastNetwork& network) const {
    const NetworkPass pass = pass_of(network);
    Forecasts states;
    for (const Example& example : examples_) {
      const auto count = static_cast<std::size_t>(lead_ / example.step);
      const auto run = teacher_.run(example, count, false);
      RegionalRollout rollout(layout_, times_[example.time_index], pass);
      rollout.give_state(-example.step, *truth(example, -1));
      rollout.give_state(Duration{0}, *truth(example, 0));
      for (std::size_t k = 0; k < count; ++k) {
        std::vector<float> strip(step_.strip_size());
        step_.gather_strip((*run)[k].state, strip);
        rollout.give_boundary(static_cast<int>(k + 1) * example.step, std::move(strip));
        rollout.advance(example.step);
      }
      states.emplace_back(rollout.state().begin(), rollout.state().end());
    }
    return states;
  }

  /// RMS difference of two sets of forecasts in each channel, in standard deviations.
  std::vector<double> difference(const Forecasts& a, const Forecasts& b) const {
    std::vector<double> result(layout_.channels.size());
    const std::size_t points = layout_.points();
    for (std::size_t c = 0; c < result.size(); ++c) {
      double sum = 0;
      for (std::size_t s = 0; s < a.size(); ++s)
        for (std::size_t i = 0; i < interior_.size(); ++i) {
          const std::size_t at = c * points + interior_.cells()[i];
          const double error = static_cast<double>(a[s][at]) - b[s][at];
          sum += interior_.weights()[i] * error * error;
        }
      result[c] = std::sqrt(sum / static_cast<double>(a.size() * interior_.size()));
    }
    return result;
  }

  Forecasts truths() const {
    Forecasts states;
    for (const Example& example : examples_) states.push_back(*truth(example, static_cast<int>(lead_ / example.step)));
    return states;
  }

 private:
  TeacherRuns::Field truth(const Example& example, int steps) const {
    const Time time = times_[example.time_index] + steps * example.step;
    return teacher_.truth(
        static_cast<std::size_t>(std::lower_bound(times_.begin(), times_.end(), time) - times_.begin()));
  }

  const ForecastLayout& layout_;
  const ForecastStep step_;
  const Interior interior_;
  TeacherRuns& teacher_;
  const std::span<const Time> times_;
  const std::span<const Example> examples_;
  const Duration lead_;
};

double largest(const std::vector<double>& values) {
  return *std::max_element(values.begin(), values.end());
}

}  // namespace

bool Int8Verdict::accepted() const {
  return std::all_of(variables.begin(), variables.end(),
                     [this](const Variable& v) { return v.percent() <= limit_percent; });
}

std::filesystem::path int8_file(const std::filesystem::path& model) {
  return model.parent_path() / "int8.json";
}

Int8Verdict choose_int8(const std::filesystem::path& model, TeacherRuns& teacher, std::span<const Time> times,
                        std::span<const Example> examples, Duration lead, const Int8Config& config) {
  const auto exact_model = load_model(model, {.precision = "fp32"}),
             int8_model = load_model(model, {.precision = "int8"});
  const ForecastLayout& layout = exact_model->layout;
  const Calibration calibration(layout, teacher, times, examples, lead);
  const Forecasts reference = calibration.forecasts(exact_model->network);
  const std::vector<std::string> matrices = int8_model->network.int8_matrices();
  const auto cost = [&](auto&& exact) {
    int8_model->network.keep_precise(exact);
    return calibration.difference(calibration.forecasts(int8_model->network), reference);
  };

  std::vector<std::string> by_cost;  // found when one is needed
  std::set<std::string, std::less<>> exact;
  const auto percents = [&] { return cost([exact](std::string_view name) { return exact.contains(name); }); };
  std::vector<double> percent = percents();
  while (100 * largest(percent) > config.percent && exact.size() < matrices.size()) {
    if (by_cost.empty()) {
      std::vector<std::pair<double, std::string>> alone;
      for (const std::string& matrix : matrices)
        alone.emplace_back(largest(cost([matrix](std::string_view name) { return name != matrix; })), matrix);
      std::stable_sort(alone.begin(), alone.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
      for (auto& [unused, name] : alone) by_cost.push_back(std::move(name));
    }
    exact.insert(by_cost[exact.size()]);
    percent = percents();
  }

  Int8Verdict verdict{.samples = examples.size(), .limit_percent = config.percent, .lead = lead};
  verdict.exact.assign(by_cost.begin(), by_cost.begin() + static_cast<std::ptrdiff_t>(exact.size()));
  for (const std::string& matrix : matrices)
    if (!exact.contains(matrix)) verdict.int8.push_back(matrix);
  const Forecasts truths = calibration.truths();
  const std::vector<double> before = calibration.difference(reference, truths),
                            after = calibration.difference(calibration.forecasts(int8_model->network), truths);
  for (std::size_t c = 0; c < layout.channels.size(); ++c) {
    const double stddev = layout.normalisation.stddev[c];
    verdict.variables.push_back(
        {layout.channels[c].name(), percent[c] * stddev, (after[c] - before[c]) * stddev, stddev});
  }
  for (const Parameter& p : int8_model->network.parameters().list()) {
    const std::size_t plain = static_cast<std::size_t>(p.count) * sizeof(float);
    const bool quantised = std::find(verdict.int8.begin(), verdict.int8.end(), p.name) != verdict.int8.end();
    verdict.bytes_fp32 += plain;
    verdict.bytes_int8 += quantised ? Linear::quantised_bytes(p.shape[0], p.shape[1]) : plain;
  }
  return verdict;
}

json to_json(const Int8Verdict& v) {
  json variables = json::array();
  for (const Int8Verdict::Variable& variable : v.variables)
    variables.push_back({{"variable", variable.variable},
                         {"rms_difference", variable.difference},
                         {"rmse_added", variable.added},
                         {"stddev", variable.stddev},
                         {"percent_of_stddev", variable.percent()}});
  return {{"initial_times", v.samples},
          {"lead_hours", static_cast<double>(v.lead.count()) / 3600},
          {"limit_percent", v.limit_percent},
          {"variables", variables},
          {"int8", v.int8},
          {"exact", v.exact},
          {"bytes_fp32", v.bytes_fp32},
          {"bytes_int8", v.bytes_int8},
          {"accepted", v.accepted()}};
}

std::string to_text(const Int8Verdict& v) {
  std::string text =
      fmt::format("int8: {} of {} matrices, {} of {} bytes; RMS difference from fp32 at {}, {} starts:", v.int8.size(),
                  v.int8.size() + v.exact.size(), v.bytes_int8, v.bytes_fp32, to_string(v.lead), v.samples);
  for (const Int8Verdict::Variable& variable : v.variables)
    text += fmt::format(" {} {:.2f} %", variable.variable, variable.percent());
  return text + (v.accepted() ? "; accepted\n" : "; not accepted\n");
}

}  // namespace zonda::model
