#include "postproc/report/assimilation_pictures.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "ingest/sources/source.hpp"
#include "postproc/maps/chart.hpp"
#include "postproc/maps/map.hpp"
#include "postproc/report/station_map.hpp"

namespace zonda::postproc {
namespace {

using Json = nlohmann::ordered_json;
using Points = std::vector<std::pair<double, double>>;

const std::vector<Colour>& line_colours() {
  static const std::vector<Colour> colours{palette::forecast,     palette::persistence,  palette::accent,
                                           Colour::hex(0x5b2a86), Colour::hex(0xb3401f), palette::climatology};
  return colours;
}

Colour line_colour(std::size_t i) {
  return line_colours()[i % line_colours().size()];
}

/// Days since the first record, and what `value` finds there; records where it finds nothing are left out.
template <class Value>
Points by_day(const std::vector<Json>& records, Value value) {
  Points points;
  if (records.empty()) return points;
  const Time first = parse_time(records.front().at("time").get<std::string>());
  for (const Json& record : records) {
    const double days =
        static_cast<double>((parse_time(record.at("time").get<std::string>()) - first).count()) / 86400.0;
    const std::optional<double> found = value(record);
    if (found) points.emplace_back(days, *found);
  }
  return points;
}

std::optional<double> score(const Json& record, const char* which, const std::string& channel, const char* metric) {
  if (!record.contains(which) || !record[which].contains(channel) || !record[which][channel].contains(metric))
    return std::nullopt;
  return record[which][channel][metric].get<double>();
}

Points score_curve(const CycledAnalysis& analysis, const char* which, const std::string& channel, const char* metric) {
  const double scale = score_unit(parse_channel(channel)).scale;
  Points points = by_day(*analysis.records, [&](const Json& record) { return score(record, which, channel, metric); });
  for (auto& [day, value] : points) value *= scale;
  return points;
}

std::string titled(const std::string& channel) {
  const ScoreUnit unit = score_unit(parse_channel(channel));
  return channel_title(parse_channel(channel)) + (unit.unit.empty() ? "" : " (" + unit.unit + ")");
}

Chart by_time(const std::string& title) {
  Chart chart;
  chart.title = title;
  chart.x.label = "days";
  chart.y.from_zero = true;
  return chart;
}

/// Errors that fall to a small part of their first are read on a logarithmic axis.
void fit_axis(Chart& chart) {
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (const ChartLine& line : chart.lines)
    for (const auto& [x, y] : line.points)
      if (y > 0) {
        least = std::min(least, y);
        most = std::max(most, y);
      }
  chart.y.logarithmic = most > 20 * least;
  chart.y.from_zero = !chart.y.logarithmic;
}

struct FileField {
  Grid grid;
  std::vector<float> values;
};

FileField read_field(const std::filesystem::path& path, const Channel& channel) {
  const auto source = ingest::open_source(path);
  const std::vector<ingest::FieldKey> keys = source->fields_of(channel);
  if (keys.empty()) fail(ErrorKind::data, "{}: {} is missing", path.string(), channel.name());
  FileField field{source->grid(channel), {}};
  field.values.resize(field.grid.size());
  source->read(keys.back(), field.values);
  return field;
}

std::vector<float> difference(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> result(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) result[i] = a[i] - b[i];
  return result;
}

std::string root_mean_square(const Grid& grid, const std::vector<float>& field, const Channel& channel) {
  double sum = 0;
  for (std::size_t i = 0; i < field.size(); ++i)
    sum += grid.row_weights()[i / grid.nlon()] * static_cast<double>(field[i]) * static_cast<double>(field[i]);
  const ScoreUnit unit = score_unit(channel);
  return fmt::format("RMS {:.3g} {}", std::sqrt(sum / static_cast<double>(field.size())) * unit.scale, unit.unit);
}

/// The latest file NAME_*.nc, by its name.
std::filesystem::path latest(const std::filesystem::path& folder, const std::string& name) {
  std::filesystem::path found;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().starts_with(name + "_") && entry.path().extension() == ".nc" &&
        (found.empty() || found.filename() < entry.path().filename()))
      found = entry.path();
  return found;
}

}  // namespace

void draw_cycle_errors(const std::vector<CycledAnalysis>& analyses, const std::vector<std::string>& channels,
                       const std::filesystem::path& png) {
  std::vector<Chart> charts;
  for (const std::string& channel : channels) {
    Chart chart = by_time(titled(channel));
    for (std::size_t i = 0; i < analyses.size(); ++i) {
      const bool free = analyses[i].method == "none";
      if (!free)
        chart.lines.push_back({analyses[i].name + ", background",
                               score_curve(analyses[i], "background", channel, "error"), line_colour(i), 1, 3, false});
      chart.lines.push_back({free ? analyses[i].name : analyses[i].name + ", analysis",
                             score_curve(analyses[i], "analysis", channel, "error"), line_colour(i), 2, 0, false});
    }
    fit_axis(chart);
    charts.push_back(std::move(chart));
  }
  draw_charts({.title = "Error of the mean",
               .subtitle = "root mean square over the globe, against the truth, by days from the first analysis"},
              charts, png);
}

bool draw_cycle_ensemble(const CycledAnalysis& analysis, const std::vector<std::string>& channels,
                         const std::filesystem::path& png) {
  std::vector<Chart> charts;
  for (const std::string& channel : channels) {
    if (!analysis.summary->at("analysis").contains(channel)) continue;
    const Json& summary = (*analysis.summary)["analysis"][channel];
    if (!summary.contains("ranks")) continue;
    Chart spread = by_time(titled(channel));
    spread.lines = {
        {"error of the analysis", score_curve(analysis, "analysis", channel, "error"), palette::forecast, 2, 0, false},
        {"spread", score_curve(analysis, "analysis", channel, "spread"), Colour::hex(0xf2a65a), 2, 0, false},
        {"CRPS", score_curve(analysis, "analysis", channel, "crps"), Colour::hex(0x5b2a86), 1.5, 0, false}};
    Chart ranks;
    ranks.title = channel_title(parse_channel(channel)) + ", rank of the truth";
    ranks.x.label = "members below the truth";
    ranks.y.label = "frequency over 1 / (members + 1)";
    ranks.y.from_zero = true;
    for (const auto& [label, which, colour] :
         {std::tuple{"background", "background", palette::persistence}, {"analysis", "analysis", palette::forecast}}) {
      const auto frequencies = (*analysis.summary)[which][channel]["ranks"].get<std::vector<double>>();
      Points outline;
      for (std::size_t r = 0; r < frequencies.size(); ++r)
        for (const double edge : {0.0, 1.0})
          outline.emplace_back(static_cast<double>(r) + edge, frequencies[r] * static_cast<double>(frequencies.size()));
      ranks.lines.push_back({label, std::move(outline), colour, 1.5, 0, false});
    }
    ranks.lines.push_back({"", {{0, 1}, {ranks.lines[0].points.back().first, 1}}, palette::truth, 1, 3, false});
    charts.push_back(std::move(spread));
    charts.push_back(std::move(ranks));
  }
  if (charts.empty()) return false;
  draw_charts({.title = "Ensemble of " + analysis.name,
               .subtitle = "a reliable ensemble's spread is its mean's error, and the truth has every rank as often"},
              charts, png);
  return true;
}

bool draw_departures(const CycledAnalysis& analysis, const std::filesystem::path& png) {
  std::map<std::string, std::vector<const Json*>> by_variable;
  for (const Json& item : analysis.summary->at("departures"))
    by_variable[item.at("kind").get<std::string>() + " " + item.at("variable").get<std::string>()].push_back(&item);
  std::vector<Chart> charts;
  for (auto& [variable, items] : by_variable) {
    if (items.size() < 2) continue;  // one level makes no profile
    std::sort(items.begin(), items.end(),
              [](const Json* a, const Json* b) { return a->at("level_hpa") < b->at("level_hpa"); });
    Chart chart;
    chart.title = variable;
    chart.x.label = "pressure (hPa)";
    chart.y.from_zero = true;
    for (const auto& [label, key, colour, dash] :
         {std::tuple{"y − H(x_b)", "background_rms", palette::persistence, 0.0},
          {"y − H(x_a)", "analysis_rms", palette::forecast, 0.0},
          {"σ_o", "observation_error", palette::truth, 0.0},
          {"σ_o diagnosed", "diagnosed_observation_error", palette::truth, 3.0},
          {"spread", "background_spread", Colour::hex(0xf2a65a), 0.0},
          {"σ_b diagnosed", "diagnosed_background_error", Colour::hex(0xf2a65a), 3.0}}) {
      Points points;
      for (const Json* item : items)
        points.emplace_back(item->at("level_hpa").get<double>(), item->at(key).get<double>());
      chart.lines.push_back({label, std::move(points), colour, 1.8, dash, dash == 0});
    }
    charts.push_back(std::move(chart));
  }
  if (charts.empty()) return false;
  draw_charts(
      {.title = "Departures of " + analysis.name,
       .subtitle =
           "root mean square departures from background and analysis, SI; diagnosed: after Desroziers et al. (2005)",
       .chart_width = 600},
      charts, png);
  return true;
}

void draw_spectrum_drift(const std::vector<CycledAnalysis>& analyses, const std::vector<std::string>& channels,
                         const std::filesystem::path& png) {
  std::vector<Chart> charts;
  for (std::size_t c = 0; c < channels.size(); ++c) {
    Chart chart = by_time(channel_title(parse_channel(channels[c])));
    chart.y.label = "power over that at the start";
    for (std::size_t i = 0; i < analyses.size(); ++i)
      chart.lines.push_back(
          {analyses[i].name,
           by_day(*analyses[i].records,
                  [&](const Json& record) -> std::optional<double> { return record.at("tail").at(c).get<double>(); }),
           line_colour(i), 1.8, 0, false});
    charts.push_back(std::move(chart));
  }
  draw_charts({.title = "Small scales",
               .subtitle = "power in the tail of the zonal spectrum at 30–60°, mean over the analysis members"},
              charts, png);
}

bool draw_costs(const std::vector<CycledAnalysis>& analyses, const std::filesystem::path& png) {
  std::vector<Chart> charts;
  for (const CycledAnalysis& analysis : analyses) {
    std::vector<const Json*> costs;
    for (const Json& record : *analysis.records)
      if (record.contains("cost")) costs.push_back(&record["cost"]["values"]);
    if (costs.empty()) continue;
    Chart chart;
    chart.title = analysis.name;
    chart.x.label = "outer iteration";
    chart.x.step = 1;
    chart.y.label = "J over J at the start";
    const std::size_t shown = std::min<std::size_t>(costs.size(), 5);
    for (std::size_t i = 0; i < shown; ++i) {
      const Json& values = *costs[shown == 1 ? 0 : i * (costs.size() - 1) / (shown - 1)];
      Points points;
      for (std::size_t k = 0; k < values.size(); ++k)
        points.emplace_back(static_cast<double>(k), values[k].get<double>() / values[0].get<double>());
      chart.lines.push_back({fmt::format("cycle {}", shown == 1 ? 0 : i * (costs.size() - 1) / (shown - 1)),
                             std::move(points), line_colour(i), 1.8, 0, true});
    }
    chart.y.from_zero = true;
    charts.push_back(std::move(chart));
  }
  if (charts.empty()) return false;
  draw_charts({.title = "Cost function", .subtitle = "J = background and observation terms, nonlinear"}, charts, png);
  return true;
}

bool draw_launched_forecasts(const std::vector<CycledAnalysis>& analyses, const std::vector<std::string>& channels,
                             const std::filesystem::path& png) {
  std::vector<Chart> charts;
  for (const std::string& channel : channels) {
    Chart chart;
    chart.title = titled(channel);
    chart.x.label = "lead (h)";
    chart.y.from_zero = true;
    const double scale = score_unit(parse_channel(channel)).scale;
    for (std::size_t i = 0; i < analyses.size(); ++i) {
      Points from_analysis, from_truth;
      for (const Json& item : analyses[i].summary->at("forecasts")) {
        if (item.at("channel") != channel) continue;
        const double lead = item.at("lead_hours");
        from_analysis.emplace_back(lead, scale * item.at("analysis").get<double>());
        if (item.contains("old_truth")) from_truth.emplace_back(lead, scale * item["old_truth"].get<double>());
      }
      if (from_analysis.empty()) continue;
      chart.lines.push_back({"from " + analyses[i].name, std::move(from_analysis), line_colour(i), 2, 0, true});
      if (i == 0 && !from_truth.empty())
        chart.lines.push_back({"from an old truth", std::move(from_truth), palette::truth, 1.5, 3, false});
    }
    if (!chart.lines.empty()) charts.push_back(std::move(chart));
  }
  if (charts.empty()) return false;
  draw_charts({.title = "Forecasts from the analyses", .subtitle = "root mean square error over the globe"}, charts,
              png);
  return true;
}

bool draw_stations(const CycledAnalysis& analysis, const std::string& variable, bool coastlines,
                   const std::filesystem::path& png) {
  const Variable* info = find_variable(variable);
  const ScoreUnit unit =
      score_unit(info->level_kind == LevelKind::pressure ? Channel{variable, 500} : Channel{variable, 0});
  std::vector<StationMark> marks;
  for (const Json& station : analysis.summary->at("stations"))
    if (station.at("variables").contains(variable))
      marks.push_back({station.at("latitude"), station.at("longitude"),
                       station["variables"][variable].at("background_rms").get<double>() * unit.scale});
  if (marks.empty()) return false;
  draw_station_map(info->long_name + ": departures from the background",
                   analysis.name + ": root mean square of all levels, after the spin-up", unit.unit, marks, coastlines,
                   png);
  return true;
}

bool draw_impacts(const CycledAnalysis& analysis, const std::filesystem::path& png) {
  const Json impact = analysis.summary->value("impact", Json());
  if (impact.is_null()) return false;
  std::map<std::string, std::map<std::string, Points>> by_kind;
  for (const Json& item : impact.at("by_kind"))
    by_kind[item.at("kind")][item.at("variable")].emplace_back(
        item.at("level_hpa").get<double>(), -1e6 * item.at("share").get<double>() / item.at("count").get<double>());
  std::vector<Chart> charts;
  for (auto& [kind, variables] : by_kind) {
    Chart chart;
    chart.title = kind;
    chart.x.label = "pressure (hPa); 0: at the surface";
    chart.y.label = "10⁻⁶ J/kg each";
    for (auto& [variable, points] : variables) {
      if (points.size() < 2) continue;  // one level makes no profile
      std::sort(points.begin(), points.end());
      chart.lines.push_back({variable, std::move(points), line_colour(chart.lines.size()), 1.8, 0, true});
    }
    if (!chart.lines.empty()) charts.push_back(std::move(chart));
  }
  if (charts.empty()) return false;
  draw_charts({.title = "What an observation did to the forecast, " + analysis.name,
               .subtitle = "by how much one observation lowers the error, in dry total energy; below 0 it raises it",
               .chart_width = 600},
              charts, png);
  return true;
}

bool draw_impacts_of_stations(const CycledAnalysis& analysis, bool coastlines, const std::filesystem::path& png) {
  const Json impact = analysis.summary->value("impact", Json());
  if (impact.is_null()) return false;
  std::vector<StationMark> marks;
  for (const Json& station : impact.at("by_station"))
    marks.push_back({station.at("latitude"), station.at("longitude"),
                     -1e6 * station.at("share").get<double>() / impact.at("analyses").get<double>()});
  draw_station_map("What each station did to the forecast",
                   analysis.name + ": by how much it lowers the error, mean over the analyses", "10⁻⁶ J/kg", marks,
                   coastlines, png, StationScale::about_zero);
  return true;
}

bool draw_increments(const std::filesystem::path& folder, const std::string& name, bool coastlines,
                     const std::filesystem::path& png) {
  const std::filesystem::path analysis_file = latest(folder, "analysis"),
                              background_file = latest(folder, "background"), truth_file = latest(folder, "truth");
  if (analysis_file.empty() || background_file.empty()) return false;
  const Channel channel = parse_channel(name);
  const FileField analysis = read_field(analysis_file, channel), background = read_field(background_file, channel);
  const FieldStyle style = field_style(channel), errors = error_style(channel);
  const std::vector<float> increment = difference(analysis.values, background.values);
  std::vector<MapPanel> panels{{"Analysis", "", analysis.grid, analysis.values, style, {}, {}, coastlines},
                               {"Analysis minus background",
                                root_mean_square(analysis.grid, increment, channel),
                                analysis.grid,
                                increment,
                                errors,
                                {},
                                {},
                                coastlines}};
  if (!truth_file.empty()) {
    const FileField truth = read_field(truth_file, channel);
    const std::vector<float> before = difference(background.values, truth.values),
                             after = difference(analysis.values, truth.values);
    const std::span<const float> shown[] = {before, after};
    const std::vector<double> levels = shared_levels(errors, shown);
    panels.push_back({"Background minus truth",
                      root_mean_square(truth.grid, before, channel),
                      truth.grid,
                      before,
                      errors,
                      levels,
                      {},
                      coastlines});
    panels.push_back({"Analysis minus truth",
                      root_mean_square(truth.grid, after, channel),
                      truth.grid,
                      after,
                      errors,
                      levels,
                      {},
                      coastlines});
  }
  const std::string stem = analysis_file.stem().string();
  draw_maps({.title = style.title,
             .subtitle = folder.filename().string() + ", " + stem.substr(stem.find('_') + 1),
             .columns = 2,
             .panel_width = 560,
             .scale = 1.5},
            panels, png);
  return true;
}

}  // namespace zonda::postproc
