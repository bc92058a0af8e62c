#include "postproc/report/training_curve.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "postproc/maps/chart.hpp"

namespace zonda::postproc {
namespace {

/// The mean of each run of steps, so that a long training is a line and not a band.
TrainingCurve::Points smoothed(const TrainingCurve::Points& points, std::size_t most) {
  if (points.size() <= most) return points;
  TrainingCurve::Points result;
  const std::size_t bin = (points.size() + most - 1) / most;
  for (std::size_t begin = 0; begin < points.size(); begin += bin) {
    const std::size_t end = std::min(begin + bin, points.size());
    double step = 0, value = 0;
    for (std::size_t i = begin; i < end; ++i) {
      step += points[i].first;
      value += points[i].second;
    }
    const auto count = static_cast<double>(end - begin);
    result.emplace_back(step / count, value / count);
  }
  return result;
}

/// z500 where there is one.
std::string usual_channel(const nlohmann::json& rmse) {
  return rmse.contains("z500") || rmse.empty() ? "z500" : rmse.begin().key();
}

void read_curve(const nlohmann::json& line, TrainingCurve& curve) {
  TrainingCurve::Points points;
  for (const auto& at : line.at("curve")) {
    curve.curve_channel = usual_channel(at.at("rmse"));
    const double persistence = at.at("persistence").value(curve.curve_channel, 0.0);
    if (persistence > 0)
      points.emplace_back(at.at("lead_hours"), at.at("rmse").value(curve.curve_channel, 0.0) / persistence);
  }
  curve.after_phase.emplace_back(line.value("phase", ""), std::move(points));
}

constexpr double dashes = 4;

/// Dashed verticals where the second and later phases begin, as high as `points` reach.
void mark_phases(const TrainingCurve& curve, const TrainingCurve::Points& points, Chart& chart) {
  if (points.empty()) return;
  const auto [low, high] =
      std::minmax_element(points.begin(), points.end(), [](auto& a, auto& b) { return a.second < b.second; });
  for (std::size_t i = 1; i < curve.phases.size(); ++i) {
    const double step = curve.phases[i].first;
    chart.lines.push_back({curve.phases[i].second,
                           {{step, low->second}, {step, high->second}},
                           i % 2 ? palette::accent : palette::persistence,
                           1.4,
                           dashes / static_cast<double>(i),
                           false});
  }
}

}  // namespace

TrainingCurve read_training_curve(const std::filesystem::path& metrics) {
  TrainingCurve curve;
  const std::string text = read_file(metrics);
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.empty()) continue;
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_discarded() || !json.is_object() || !json.contains("step")) {
      if (lines.peek() == std::char_traits<char>::eof()) break;
      fail(ErrorKind::data, "{}:{}: not a line of training metrics", metrics.string(), number);
    }
    try {
      const double step = json.at("step");
      if (json.contains("curve")) read_curve(json, curve);
      if (const std::string phase = json.value("phase", "");
          json.contains("loss") && !phase.empty() && (curve.phases.empty() || curve.phases.back().second != phase))
        curve.phases.emplace_back(step, phase);
      if (json.contains("loss") && json.at("loss").is_number()) {
        if (json.value("skipped", false)) {
          ++curve.skipped;
        } else {
          curve.loss.emplace_back(step, json.at("loss"));
        }
      }
      if (json.contains("lr")) curve.learning_rate.emplace_back(step, json.at("lr"));
      if (!json.contains("validation")) continue;
      const auto& validation = json.at("validation");
      if (validation.contains("loss")) curve.validation_loss.emplace_back(step, validation.at("loss"));
      if (json.contains("lead_hours")) curve.validation_lead_hours = json.at("lead_hours");
      if (!validation.contains("rmse") || !validation.contains("persistence")) continue;
      for (const auto& [channel, rmse] : validation.at("rmse").items()) {
        const double persistence = validation.at("persistence").value(channel, 0.0);
        if (persistence > 0) curve.skill[channel].emplace_back(step, rmse.get<double>() / persistence);
      }
    } catch (const nlohmann::json::exception& error) {
      fail(ErrorKind::data, "{}:{}: {}", metrics.string(), number, error.what());
    }
  }
  return curve;
}

void draw_training_curve(const TrainingCurve& curve, const std::filesystem::path& png) {
  std::vector<Chart> charts;
  Chart loss;
  loss.title = "Loss";
  loss.x.label = "step";
  loss.y.label = "loss";
  loss.y.logarithmic = true;
  loss.lines.push_back({"every step", curve.loss, palette::forecast.with_alpha(0.25), 0.8, 0, false});
  loss.lines.push_back({"mean", smoothed(curve.loss, 80), palette::forecast, 2, 0, false});
  if (!curve.validation_loss.empty())
    loss.lines.push_back({"validation", curve.validation_loss, palette::persistence, 2, 0, true});
  mark_phases(curve, curve.loss, loss);
  charts.push_back(std::move(loss));
  if (!curve.skill.empty()) {
    Chart skill;
    skill.title = fmt::format("Validation RMSE over persistence's, {:g} h", curve.validation_lead_hours);
    skill.x.label = "step";
    skill.y.label = "ratio";
    skill.y.from_zero = true;
    const std::vector<Colour> colours = {palette::forecast,     palette::persistence,  palette::accent,
                                         Colour::hex(0x8a4fa3), Colour::hex(0xb8860b), Colour::hex(0x5b7c99)};
    std::size_t next = 0;
    // The channels people look at first, then the others as far as the legend can be read.
    std::vector<std::string> names;
    for (const char* first : {"z500", "t850", "2t", "10u", "u850", "q700"})
      if (curve.skill.contains(first)) names.emplace_back(first);
    for (const auto& [name, points] : curve.skill)
      if (names.size() < 4 && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    names.resize(std::min<std::size_t>(names.size(), 5));
    for (const std::string& name : names)
      skill.lines.push_back({name, curve.skill.at(name), colours[next++ % colours.size()], 1.8, 0, true});
    charts.push_back(std::move(skill));
  }
  const std::size_t by_step = charts.size();
  if (!curve.after_phase.empty()) {
    Chart leads;
    leads.title = fmt::format("{} RMSE over persistence's after each phase", curve.curve_channel);
    leads.x.label = "lead time (h)";
    leads.y.label = "ratio";
    leads.y.from_zero = true;
    const TrainingCurve::Points& longest = curve.after_phase.back().second;
    if (!longest.empty()) leads.x.step = lead_step(longest.back().first);
    const Colour colours[] = {palette::persistence, palette::forecast, palette::accent, Colour::hex(0x8a4fa3)};
    for (std::size_t i = 0; i < curve.after_phase.size(); ++i)
      leads.lines.push_back({curve.after_phase[i].first, curve.after_phase[i].second, colours[i % 4], 1.8, 0, true});
    charts.push_back(std::move(leads));
  }
  if (!curve.learning_rate.empty()) {
    Chart rate;
    rate.title = "Learning rate";
    rate.x.label = "step";
    rate.y.label = "learning rate";
    rate.y.from_zero = true;
    rate.lines.push_back({"", curve.learning_rate, palette::accent, 1.8, 0, false});
    charts.push_back(std::move(rate));
  }
  for (std::size_t i = 0; i < charts.size(); ++i) {
    charts[i].x.minimum = 0;
    if (i == by_step && !curve.after_phase.empty()) continue;
    charts[i].x.maximum = curve.loss.empty() ? 1 : std::max(1.0, curve.loss.back().first);
  }
  draw_charts({.title = "Training",
               .subtitle = "",
               .columns = charts.size() == 4 ? 2 : std::min<std::size_t>(charts.size(), 3),
               .chart_width = charts.size() == 3 ? 400.0 : 480.0},
              charts, png);
}

}  // namespace zonda::postproc
