#include "postproc/report/headline.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "postproc/maps/field_style.hpp"

namespace zonda::postproc {
namespace {

std::string region_title(const std::string& region) {
  return region == "global" ? "the globe" : region;
}

/// Three to four digits that count.
std::string amount(double value) {
  const double magnitude = std::abs(value);
  return magnitude >= 100 ? fmt::format("{:.1f}", value)
         : magnitude >= 1 ? fmt::format("{:.2f}", value)
                          : fmt::format("{:.3g}", value);
}

}  // namespace

std::vector<Channel> key_channels(const ScoreTable& scores) {
  const std::vector<Channel> wanted = {{"z", 500},    {"t", 850},    {"2t", 0},  {"msl", 0}, {"wind", 850},
                                       {"wind", 250}, {"10wind", 0}, {"q", 700}, {"tp", 0}};
  const std::vector<Channel> held = scores.channels();
  std::vector<Channel> chosen;
  for (const Channel& channel : wanted) {
    const Channel* nearest = nullptr;
    for (const Channel& candidate : held)
      if (candidate.variable == channel.variable &&
          (nearest == nullptr ||
           std::abs(candidate.level_hpa - channel.level_hpa) < std::abs(nearest->level_hpa - channel.level_hpa)))
        nearest = &candidate;
    if (nearest != nullptr && std::find(chosen.begin(), chosen.end(), *nearest) == chosen.end())
      chosen.push_back(*nearest);
  }
  if (chosen.empty())
    chosen.assign(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(held.size(), 8)));
  return chosen;
}

std::string error_metric(const Channel& channel) {
  return channel.variable.ends_with("wind") ? "wind_vector_rmse" : "rmse";
}

double headline_lead(const ScoreTable& scores) {
  const std::vector<double> leads = scores.lead_hours();
  if (leads.empty()) return 24;
  return *std::min_element(leads.begin(), leads.end(),
                           [](double a, double b) { return std::abs(a - 24) < std::abs(b - 24); });
}

std::vector<HeadlineRow> headline_rows(const ScoreTable& scores, double lead_hours, const std::string& region) {
  std::vector<HeadlineRow> rows;
  for (const Channel& channel : key_channels(scores)) {
    const auto value = [&](const char* source) {
      return scores.find(channel, lead_hours, region, error_metric(channel), source);
    };
    const auto forecast = value("forecast"), persistence = value("persistence"), climatology = value("climatology");
    if (!forecast || !persistence || !climatology) continue;
    const ScoreUnit unit = score_unit(channel);
    rows.push_back({channel, channel_title(channel), unit.unit, lead_hours, *forecast * unit.scale,
                    *persistence * unit.scale, *climatology * unit.scale});
  }
  return rows;
}

std::string headline_table(const ScoreTable& scores, const std::string& region) {
  const double lead = headline_lead(scores);
  std::vector<HeadlineRow> rows = headline_rows(scores, lead, region);
  if (rows.empty()) return "";
  const HeadlineRow first = rows.front();
  for (const double hours : scores.lead_hours())
    if (hours > lead && std::fmod(hours, 24) == 0)
      for (const HeadlineRow& row : headline_rows(scores, hours, region))
        if (row.channel == first.channel) rows.push_back(row);
  std::string text = fmt::format("RMSE over {}\n", region_title(region));
  text += fmt::format("{:<18} {:>6} {:>10} {:>12} {:>12} {:>22}\n", "", "lead", "forecast", "persistence",
                      "climatology", "forecast/persistence");
  for (const HeadlineRow& row : rows) {
    const std::string label = row.unit.empty() ? row.label : fmt::format("{} ({})", row.label, row.unit);
    text += fmt::format("{:<18} {:>6} {:>10} {:>12} {:>12} {:>22.3f}\n", label, fmt::format("{:g} h", row.lead_hours),
                        amount(row.forecast), amount(row.persistence), amount(row.climatology),
                        row.forecast / row.persistence);
  }
  std::string verdict = "neither persistence nor climatology";
  if (first.best()) {
    verdict = "persistence and climatology";
  } else if (first.forecast < first.persistence) {
    verdict = "persistence, not climatology";
  } else if (first.forecast < first.climatology) {
    verdict = "climatology, not persistence";
  }
  text += fmt::format("At {:g} h the model beats {} for {}.\n", lead, verdict, first.label);
  return text;
}

}  // namespace zonda::postproc
