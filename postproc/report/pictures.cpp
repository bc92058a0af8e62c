#include "postproc/report/pictures.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "ingest/sources/source.hpp"
#include "postproc/maps/chart.hpp"
#include "postproc/maps/map.hpp"
#include "postproc/maps/scorecard.hpp"
#include "postproc/report/headline.hpp"
#include "postproc/verification/field_series.hpp"
#include "postproc/verification/region.hpp"
#include "postproc/verification/scoring.hpp"

namespace zonda::postproc {
namespace {

using Points = std::vector<std::pair<double, double>>;

Points scaled(Points points, double scale) {
  for (auto& p : points) p.second *= scale;
  return points;
}

std::string lead_text(double lead_hours) {
  return fmt::format("{:g} h", lead_hours);
}

/// Of the i-th of `shown` leads: from pale to deep.
Colour lead_colour(std::size_t i, std::size_t shown) {
  const double depth = shown == 1 ? 1 : static_cast<double>(i) / static_cast<double>(shown - 1);
  return ColourTable({Colour::hex(0xf2a65a), Colour::hex(0x2f8fc4), Colour::hex(0x5b2a86)}).at(depth);
}

/// u and v of a wind vector, else the channel itself.
std::vector<Channel> components(const Channel& channel, const std::vector<Channel>& held) {
  for (const Channel& candidate : held)
    if (candidate.level_hpa == channel.level_hpa && find_variable(candidate.variable) != nullptr &&
        wind_vector_name(candidate.variable) == channel.variable)
      return {candidate, {candidate.info().vector_partner, candidate.level_hpa}};
  return {channel};
}

struct CaseFields {
  std::vector<std::vector<float>> parts;  ///< one, or u and v
  std::vector<float> shown() const {
    if (parts.size() == 1) return parts[0];
    std::vector<float> speed(parts[0].size());
    for (std::size_t i = 0; i < speed.size(); ++i) speed[i] = std::hypot(parts[0][i], parts[1][i]);
    return speed;
  }
};

CaseFields read_truth(const FieldSeries& truth, const std::vector<Channel>& channels, Time time) {
  const auto at = truth.find_time(time);
  if (!at) fail(ErrorKind::data, "the archive has no time {}", to_string(time));
  CaseFields fields;
  for (const Channel& channel : channels) {
    const auto index = find_channel(truth.channels(), channel);
    if (!index) fail(ErrorKind::data, "the archive does not hold {}", channel.name());
    fields.parts.emplace_back(truth.grid().size());
    truth.read_channel(*at, *index, 0, truth.grid().nlat(), fields.parts.back());
  }
  return fields;
}

CaseFields read_forecast(const ForecastFile& file, const std::vector<Channel>& channels, Time valid,
                         std::size_t points) {
  const auto source = ingest::open_source(file.path);
  CaseFields fields;
  for (const Channel& channel : channels) {
    const auto key = std::find_if(source->fields().begin(), source->fields().end(), [&](const ingest::FieldKey& k) {
      return k.channel == channel && k.valid_time == valid && k.reference_time == file.initial &&
             k.member == file.member;
    });
    if (key == source->fields().end())
      fail(ErrorKind::data, "{}: {} is missing at {}", file.path.string(), channel.name(), to_string(valid));
    fields.parts.emplace_back(points);
    source->read(*key, fields.parts.back());
  }
  return fields;
}

std::vector<float> difference(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> result(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) result[i] = a[i] - b[i];
  return result;
}

double root_mean_square(const Grid& grid, const CaseFields& a, const CaseFields& b) {
  const RegionWeights weights(grid, Region{"all", -90, 90});
  double sum = 0;
  for (std::size_t part = 0; part < a.parts.size(); ++part) {
    std::vector<double> square(grid.size());
    for (std::size_t i = 0; i < square.size(); ++i) {
      const double error = static_cast<double>(a.parts[part][i]) - static_cast<double>(b.parts[part][i]);
      square[i] = error * error;
    }
    sum += weights.mean(square);
  }
  return std::sqrt(sum);
}

}  // namespace

void draw_score_curves(const ScoreTable& scores, const std::vector<Channel>& channels, const std::string& region,
                       const std::filesystem::path& png) {
  const std::vector<double> leads = scores.lead_hours();
  const double last = leads.empty() ? 0 : leads.back();
  const ChartAxis x{.label = "lead (h)", .minimum = 0, .maximum = last, .step = lead_step(last)};
  const auto lines = [&](const Channel& channel, const std::string& metric, double scale) {
    std::vector<ChartLine> result;
    const std::vector<std::pair<std::string, Colour>> sources = {
        {"forecast", palette::forecast}, {"persistence", palette::persistence}, {"climatology", palette::climatology}};
    for (const auto& [source, colour] : sources) {
      Points points = scaled(scores.curve(channel, region, metric, source), scale);
      if (!points.empty())
        result.push_back(
            {source, std::move(points), colour, 2, source == "climatology" ? 5.0 : 0.0, source != "climatology"});
    }
    return result;
  };
  std::vector<Chart> charts;
  for (const Channel& channel : channels) {
    const ScoreUnit unit = score_unit(channel);
    const bool vector = error_metric(channel) == "wind_vector_rmse";
    Chart errors;
    errors.title = channel_title(channel) + (vector ? ", vector RMSE" : ", RMSE");
    errors.x = x;
    errors.y.label = unit.unit;
    errors.y.from_zero = true;
    errors.lines = lines(channel, error_metric(channel), unit.scale);
    charts.push_back(std::move(errors));
    if (vector) continue;
    Chart correlation;
    correlation.title = channel_title(channel) + ", anomaly correlation";
    correlation.x = x;
    correlation.y.label = "ACC";
    correlation.y.maximum = 1;
    correlation.lines = lines(channel, "acc", 1);
    charts.push_back(std::move(correlation));
  }
  draw_charts({.title = "Scores by lead", .subtitle = "region: " + region}, charts, png);
}

void draw_run_scorecard(const ScoreTable& scores, const std::string& region, const std::string& reference,
                        const std::filesystem::path& png) {
  std::vector<double> leads = scores.lead_hours();
  // As many columns as can be read.
  if (leads.size() > 16) {
    const std::size_t every = (leads.size() + 15) / 16;
    std::vector<double> fewer;
    for (std::size_t i = every - 1; i < leads.size(); i += every) fewer.push_back(leads[i]);
    leads = fewer;
  }
  Scorecard card;
  card.title = "Scorecard";
  card.subtitle = fmt::format("RMSE of the forecast against {}'s, in percent; region: {}", reference, region);
  for (const double lead : leads) card.columns.push_back(lead_text(lead));
  for (const Channel& channel : scores.channels()) {
    Scorecard::Row row{channel.name(), {}};
    bool any = false;
    for (const double lead : leads) {
      const auto value = scores.find(channel, lead, region, error_metric(channel), "forecast");
      const auto base = scores.find(channel, lead, region, error_metric(channel), reference);
      row.values.push_back(value && base && *base > 0 ? std::optional(100 * (*value / *base - 1)) : std::nullopt);
      any = any || row.values.back();
    }
    if (any) card.rows.push_back(std::move(row));
  }
  draw_scorecard(card, png);
}

bool draw_spectra(const std::filesystem::path& spectra, const std::filesystem::path& png) {
  const auto json = nlohmann::json::parse(read_file(spectra), nullptr, false);
  if (!json.is_array()) fail(ErrorKind::data, "{}: not a list of spectra", spectra.string());
  struct Curves {
    std::map<double, Points> forecast;
    Points truth;
  };
  std::map<Channel, Curves> all;
  for (const auto& item : json) {
    const Channel channel{item.at("variable"), item.at("level_hpa").is_null() ? 0 : item.at("level_hpa").get<int>()};
    const auto points = [&](const char* name) {
      Points result;
      for (std::size_t k = 1; k < item.at(name).size(); ++k)
        result.emplace_back(static_cast<double>(k), item.at(name)[k].get<double>());
      return result;
    };
    all[channel].forecast[item.at("lead_hours")] = points("forecast");
    all[channel].truth = points("truth");
  }
  std::vector<Chart> charts;
  for (const auto& [channel, curves] : all) {
    Chart chart;
    chart.title = channel_title(channel) + ", zonal spectrum at 30–60°";
    chart.x.label = "zonal wavenumber";
    chart.y.label = "power × length";
    chart.x.logarithmic = chart.y.logarithmic = true;
    chart.lines.push_back({"truth", curves.truth, palette::truth, 2.2, 0, false});
    Chart ratio;
    ratio.title = channel_title(channel) + ", power over truth's";
    ratio.x = chart.x;
    ratio.y.label = "ratio";
    ratio.y.logarithmic = true;
    Points even;
    for (const auto& [wavenumber, power] : curves.truth) even.emplace_back(wavenumber, 1);
    ratio.lines.push_back({"", even, palette::truth, 1, 3, false});
    // At most four leads.
    std::vector<double> leads;
    for (const auto& [lead, points] : curves.forecast) leads.push_back(lead);
    const std::size_t shown = std::min<std::size_t>(leads.size(), 4);
    for (std::size_t i = 0; i < shown; ++i) {
      const std::size_t at = shown == 1 ? 0 : i * (leads.size() - 1) / (shown - 1);
      const Colour colour = lead_colour(i, shown);
      const Points& forecast = curves.forecast.at(leads[at]);
      chart.lines.push_back({lead_text(leads[at]), forecast, colour, 1.5, 0, false});
      Points relative;
      for (std::size_t k = 0; k < std::min(forecast.size(), curves.truth.size()); ++k)
        if (curves.truth[k].second > 0)
          relative.emplace_back(forecast[k].first, forecast[k].second / curves.truth[k].second);
      ratio.lines.push_back({lead_text(leads[at]), relative, colour, 1.5, 0, false});
    }
    charts.push_back(std::move(chart));
    charts.push_back(std::move(ratio));
  }
  if (charts.empty()) return false;
  draw_charts({.title = "Spectra",
               .subtitle = "mean over all initial times; a forecast that falls below the truth is too smooth"},
              charts, png);
  return true;
}

bool draw_ensemble(const ScoreTable& scores, const std::vector<Channel>& channels, const std::string& region,
                   const std::filesystem::path& histograms, const std::filesystem::path& png) {
  const auto json = nlohmann::json::parse(read_file(histograms), nullptr, false);
  if (!json.is_array()) fail(ErrorKind::data, "{}: not a list of rank histograms", histograms.string());
  std::map<Channel, std::map<double, Points>> all;  // by lead: outlines of the bars
  for (const auto& item : json) {
    const Channel channel{item.at("variable"), item.at("level_hpa").is_null() ? 0 : item.at("level_hpa").get<int>()};
    const auto frequencies = item.at("frequencies").get<std::vector<double>>();
    Points& outline = all[channel][item.at("lead_hours")];
    for (std::size_t r = 0; r < frequencies.size(); ++r)
      for (const double edge : {0.0, 1.0})
        outline.emplace_back(static_cast<double>(r) + edge, frequencies[r] * static_cast<double>(frequencies.size()));
  }
  std::vector<Chart> charts;
  for (const Channel& channel : channels) {
    const auto found = all.find(channel);
    if (found == all.end()) continue;
    const ScoreUnit unit = score_unit(channel);
    Chart spread;
    spread.title = channel_title(channel) + (unit.unit.empty() ? "" : " (" + unit.unit + ")");
    spread.x.label = "lead (h)";
    spread.x.step = lead_step(scores.lead_hours().back());
    spread.y.from_zero = true;
    for (const auto& [label, metric, colour] : {std::tuple{"RMSE of the mean", "rmse", palette::forecast},
                                                {"spread", "spread", Colour::hex(0xf2a65a)},
                                                {"CRPS", "crps", Colour::hex(0x5b2a86)}})
      spread.lines.push_back(
          {label, scaled(scores.curve(channel, region, metric, "forecast"), unit.scale), colour, 2, 0, true});
    Chart ranks;
    ranks.title = channel_title(channel) + ", rank of the truth";
    ranks.x.label = "members below the truth";
    ranks.y.label = "frequency over 1 / (members + 1)";
    ranks.y.from_zero = true;
    const Points& outline = found->second.begin()->second;
    ranks.lines.push_back({"", {{0, 1}, {outline.back().first, 1}}, palette::truth, 1, 3, false});
    std::vector<double> leads;
    for (const auto& [lead, points] : found->second) leads.push_back(lead);
    const std::size_t shown = std::min<std::size_t>(leads.size(), 4);
    for (std::size_t i = 0; i < shown; ++i) {
      const std::size_t at = shown == 1 ? 0 : i * (leads.size() - 1) / (shown - 1);
      ranks.lines.push_back({lead_text(leads[at]), found->second.at(leads[at]), lead_colour(i, shown), 1.5, 0, false});
    }
    charts.push_back(std::move(spread));
    charts.push_back(std::move(ranks));
  }
  if (charts.empty()) return false;
  draw_charts({.title = "Ensemble",
               .subtitle = "a reliable ensemble's spread is its mean's error, and the truth has every rank as often"},
              charts, png);
  return true;
}

void draw_case(const FieldSeries& truth, const ForecastFile& forecast, const Channel& channel, Duration lead,
               bool coastlines, const std::filesystem::path& png) {
  const Time valid = forecast.initial + lead;
  const std::vector<Channel> parts = components(channel, forecast.channels);
  const Grid& grid = truth.grid();
  const CaseFields analysis = read_truth(truth, parts, valid), start = read_truth(truth, parts, forecast.initial);
  const CaseFields predicted = read_forecast(forecast, parts, valid, grid.size());
  const FieldStyle style = field_style(channel), errors = error_style(channel);
  const std::vector<float> shown_forecast = predicted.shown(), shown_truth = analysis.shown();
  const std::vector<float> error = difference(shown_forecast, shown_truth);
  const std::vector<float> persistence = difference(start.shown(), shown_truth);
  const std::span<const float> fields[] = {shown_forecast, shown_truth};
  const std::span<const float> differences[] = {error, persistence};
  const std::vector<double> levels = shared_levels(style, fields), error_levels = shared_levels(errors, differences);
  const ScoreUnit unit = score_unit(channel);
  const auto note = [&](const CaseFields& field) {
    return fmt::format("{}RMSE {:.3g} {}", parts.size() > 1 ? "vector " : "",
                       root_mean_square(grid, field, analysis) * unit.scale, unit.unit);
  };
  const std::vector<MapPanel> panels = {
      {"Forecast", "", grid, shown_forecast, style, levels, {}, coastlines},
      {"Truth", "", grid, shown_truth, style, levels, {}, coastlines},
      {"Forecast minus truth", note(predicted), grid, error, errors, error_levels, {}, coastlines},
      {"Persistence minus truth", note(start), grid, persistence, errors, error_levels, {}, coastlines},
  };
  const double hours = std::chrono::duration<double, std::ratio<3600>>(lead).count();
  draw_maps({.title = style.title,
             .subtitle = fmt::format("initial {} · valid {} · lead {}", title_time(forecast.initial), title_time(valid),
                                     lead_text(hours)),
             .columns = 2,
             .panel_width = 560,
             .scale = 1.5},
            panels, png);
}

}  // namespace zonda::postproc
